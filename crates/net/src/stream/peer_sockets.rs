//! TCP connections between relayed transport addresses and peers.
//!
//! RFC 6062 sections 5.2 and 5.3. The engine says what is to be connected,
//! offered and closed and keeps the time; here are the sockets. One that waits
//! for its ConnectionBind is not read: the kernel's buffer is the bounded
//! window that holds what the peer sends `[X7]`.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, spawn_local};
use turn_engine::{ConnectFailed, ConnectionId, Now, RelayId};

use crate::clock;
use crate::host::Host;
use crate::stream::accept::Pause;
use crate::stream::context::StreamContext;
use crate::stream::lane::Lane;
use crate::stream::socket::{reset, tune_peer};

/// Connections that may wait for a relay to accept them.
const BACKLOG: u32 = 64;

/// Bytes of a peer that the kernel keeps while nobody reads them.
const RECEIVE_BUFFER: u32 = 256 * 1024;

/// The TCP side of a shard's relays.
#[derive(Debug, Default)]
pub(crate) struct PeerSockets {
    connections: HashMap<ConnectionId, PeerSocket>,
    listeners: HashMap<RelayId, AbortHandle>,
}

#[derive(Debug)]
enum PeerSocket {
    /// The task that connects.
    Connecting(AbortHandle),
    /// Connected; its client has not come for it yet.
    Waiting(TcpStream),
    /// Carried by the task of this client connection.
    Spliced(Rc<Lane>),
}

impl PeerSockets {
    /// Stops listening at a relay; says whether it did.
    pub(crate) fn close_relay(&mut self, relay: RelayId) -> bool {
        self.listeners.remove(&relay).map(|task| task.abort()).is_some()
    }

    /// Gives a waiting peer to the connection that asked for it.
    pub(crate) fn splice(
        &mut self,
        connection: ConnectionId,
        lane: &Rc<Lane>,
    ) -> Option<TcpStream> {
        let place = self.connections.get_mut(&connection)?;
        match std::mem::replace(place, PeerSocket::Spliced(Rc::clone(lane))) {
            PeerSocket::Waiting(stream) => Some(stream),
            other @ (PeerSocket::Connecting(_) | PeerSocket::Spliced(_)) => {
                *place = other;
                None
            }
        }
    }

    /// Forgets a connection that has ended; says whether it was known.
    pub(crate) fn remove(&mut self, connection: ConnectionId) -> bool {
        self.connections.remove(&connection).is_some()
    }
}

impl Host {
    /// Listens where peers of a TCP allocation connect to.
    pub(crate) fn listen_for_peers(&mut self, relay: RelayId, bind: SocketAddr) -> io::Result<()> {
        let home = self.home.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let listener = peer_socket(bind)?.listen(BACKLOG)?;
        let task = spawn_local(accept_peers(home, relay, listener));
        self.peers.listeners.insert(relay, task.abort_handle());
        Ok(())
    }

    /// Starts to connect a relay with a peer.
    pub(crate) fn connect_peer(
        &mut self,
        connection: ConnectionId,
        bind: SocketAddr,
        peer: SocketAddr,
    ) {
        let Some(home) = self.home.upgrade() else { return };
        let task = spawn_local(connect(home, connection, bind, peer));
        self.peers.connections.insert(connection, PeerSocket::Connecting(task.abort_handle()));
    }

    /// Closes a connection, with the client's if the two are one already.
    pub(crate) fn close_peer(&mut self, connection: ConnectionId) {
        match self.peers.connections.remove(&connection) {
            Some(PeerSocket::Connecting(task)) => task.abort(),
            Some(PeerSocket::Waiting(stream)) => drop(stream),
            // [X8]
            Some(PeerSocket::Spliced(lane)) => {
                self.streams.close(&lane);
            }
            None => {}
        }
    }

    fn connected(&mut self, now: Now, connection: ConnectionId, dialled: io::Result<TcpStream>) {
        let Some(place) = self.peers.connections.get_mut(&connection) else { return };
        let outcome = match dialled {
            Ok(stream) => {
                *place = PeerSocket::Waiting(stream);
                self.counters.peers_connected.add(1);
                Ok(())
            }
            Err(error) => {
                self.peers.connections.remove(&connection);
                self.counters.peer_connects_failed.add(1);
                Err(failure(&error))
            }
        };
        self.engine.peer_connected(now, connection, outcome);
        self.drain_actions(now);
    }

    fn accepted(&mut self, now: Now, relay: RelayId, peer: SocketAddr, stream: TcpStream) {
        match self.engine.accept_peer(now, relay, peer) {
            Some(connection) => {
                self.peers.connections.insert(connection, PeerSocket::Waiting(stream));
                self.counters.peers_accepted.add(1);
                self.drain_actions(now);
            }
            // [X6] Without a permission it is closed at once.
            None => {
                self.counters.peers_refused.add(1);
                reset(stream);
            }
        }
    }
}

async fn connect(
    home: Rc<StreamContext>,
    connection: ConnectionId,
    bind: SocketAddr,
    peer: SocketAddr,
) {
    let dialled = dial(bind, peer).await;
    let mut core = home.core.borrow_mut();
    core.host.connected(clock::now(), connection, dialled);
    core.flush();
}

async fn dial(bind: SocketAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    let stream = peer_socket(bind)?.connect(peer).await?;
    tune_peer(&stream);
    Ok(stream)
}

/// The accept task of a TCP relay; it ends with the relay.
async fn accept_peers(home: Rc<StreamContext>, relay: RelayId, listener: TcpListener) {
    let mut pause = Pause::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = Pause::default();
                tune_peer(&stream);
                let mut core = home.core.borrow_mut();
                core.host.accepted(clock::now(), relay, peer, stream);
                core.flush();
            }
            Err(error) => pause.after(&home, &error).await,
        }
    }
}

/// A socket at a relayed transport address, which the listener of the relay and
/// all connections from there share.
fn peer_socket(bind: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if bind.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    // [X7] Fixed, so that it does not grow under a peer that nobody reads yet.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(bind)?;
    Ok(socket)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the standard library's, and open"
)]
fn failure(error: &io::Error) -> ConnectFailed {
    match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => ConnectFailed::AddressInUse,
        _ => ConnectFailed::Refused,
    }
}
