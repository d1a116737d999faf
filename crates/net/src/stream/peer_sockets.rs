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
use crate::stream::listener::open;
use crate::stream::socket::{reset, tune_peer};

/// Connections that may wait for a relay to accept them.
const BACKLOG: u32 = 64;

/// Bytes of a peer that the kernel keeps while nobody reads them.
const RECEIVE_BUFFER: usize = 256 * 1024;

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
        let listener = listening_socket(bind)?.listen(BACKLOG)?;
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
    let stream = connecting_socket(bind)?.connect(peer).await?;
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

/// A socket that listens at a relayed transport address. It fails where anybody listens already,
/// one of our own listeners too, whose clients it would get otherwise `[H6]`.
fn listening_socket(bind: SocketAddr) -> io::Result<TcpSocket> {
    let socket = peer_socket(bind)?;
    // [H6] The kernel lets two listen at one port only if both have said so before they are bound.
    socket.bind(bind)?;
    // Connections leave from here.
    socket.set_reuseport(true)?;
    Ok(socket)
}

/// A socket for a connection from a relayed transport address, beside the one that listens there.
fn connecting_socket(bind: SocketAddr) -> io::Result<TcpSocket> {
    let socket = peer_socket(bind)?;
    socket.set_reuseport(true)?;
    socket.bind(bind)?;
    Ok(socket)
}

fn peer_socket(bind: SocketAddr) -> io::Result<TcpSocket> {
    let socket = open(bind)?;
    // [X7] Fixed, so that it does not grow under a peer that nobody reads yet.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::stream::listener::bind_stream;

    #[tokio::test(flavor = "current_thread")]
    async fn h6_relay_does_not_listen_where_another_listens() {
        let ours = bind_stream("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = |at| listening_socket(at).unwrap_err().kind();
        assert_eq!(taken(ours.local_addr().unwrap()), io::ErrorKind::AddrInUse);
        let relay = listening_socket("127.0.0.1:0".parse().unwrap()).unwrap();
        let relay = relay.listen(BACKLOG).unwrap();
        assert_eq!(taken(relay.local_addr().unwrap()), io::ErrorKind::AddrInUse);
        // A wildcard is everywhere.
        let wildcard = bind_stream("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = wildcard.local_addr().unwrap().port();
        assert_eq!(taken(SocketAddr::from(([127, 0, 0, 1], port))), io::ErrorKind::AddrInUse);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn relay_connects_from_where_it_listens_and_its_port_is_free_again_at_once() {
        let relay = listening_socket("127.0.0.1:0".parse().unwrap()).unwrap();
        let relay = relay.listen(BACKLOG).unwrap();
        let at = relay.local_addr().unwrap();
        let peers = [(); 2].map(|()| bind_stream("127.0.0.1:0".parse().unwrap()).unwrap());
        let mut open = Vec::new();
        for peer in &peers {
            open.push(dial(at, peer.local_addr().unwrap()).await.unwrap());
            assert_eq!(open.last().unwrap().local_addr().unwrap(), at);
        }
        // It still accepts, and what it has had open does not hold the port.
        let (_caller, accepted) = tokio::join!(TcpStream::connect(at), relay.accept());
        let _accepted = accepted.unwrap();
        drop(relay);
        listening_socket(at).unwrap().listen(BACKLOG).unwrap();
    }
}
