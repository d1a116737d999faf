//! What the engine asks of its host, and how the host answers.
//!
//! The success response of an Allocate leaves only once its socket exists:
//!
//! ```text
//!   engine  --OpenRelay-->  host  --complete(Opened)-->  engine  --Reply-->  host
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use crate::allocation::RelayProtocol;
use crate::id::{ConnectionId, RealmId, RelayId, ShardId, Ticket};
use crate::link::{Link, LinkId};
use crate::report::Report;
use crate::table::Detached;

/// Something for the host to do. Drain
/// [`Engine::poll_action`](crate::Engine::poll_action) after every call that
/// may change state, until it gives `None`.
#[derive(Debug)]
pub enum Action<'a> {
    /// Send these bytes to a client: a response, or a ConnectionAttempt indication. They go on
    /// this very socket or connection and never on a new one `[S19]`.
    Reply {
        /// The host's socket.
        link: LinkId,
        /// The client's transport address.
        to: SocketAddr,
        /// The address the client sent to; the reply leaves from it `[S14]`.
        from: SocketAddr,
        /// A whole STUN message.
        bytes: &'a [u8],
    },
    /// Bind a socket for `relay` at `bind` and answer with
    /// [`Completion::Opened`] or [`Completion::Failed`].
    OpenRelay {
        /// Who waits.
        ticket: Ticket,
        /// The socket's name from now on.
        relay: RelayId,
        /// Where to bind it.
        bind: SocketAddr,
        /// A UDP socket, or a TCP one that listens; each connection to it is offered to
        /// [`Engine::accept_peer`](crate::Engine::accept_peer).
        protocol: RelayProtocol,
    },
    /// Close the socket of this relay.
    CloseRelay(RelayId),
    /// Connect from `bind` to `peer` by TCP (RFC 6062 section 5.2), beside the socket that listens
    /// there, and answer with [`Engine::peer_connected`](crate::Engine::peer_connected). The engine
    /// keeps the time. Until [`Splice`](Self::Splice), what the peer sends waits in a bounded
    /// buffer and then in its TCP window.
    ConnectPeer {
        /// The connection's name from now on.
        connection: ConnectionId,
        /// The relay that it leaves from.
        relay: RelayId,
        /// The relay's bound address.
        bind: SocketAddr,
        /// Where to.
        peer: SocketAddr,
    },
    /// Once the replies queued so far are on their way, this client connection carries nothing but
    /// the peer's bytes, and the other way round: what the client has sent behind its request is
    /// raw already.
    Splice {
        /// The client data connection.
        link: LinkId,
        /// The peer data connection.
        connection: ConnectionId,
    },
    /// Close the connection to a peer, or the attempt at one, and the client data connection that
    /// it is spliced with. Nothing to do if there is none.
    ClosePeer(ConnectionId),
    /// Give this client connection to another shard, together with the message that was handed in
    /// just now and all bytes behind it: that shard serves them. The engine has kept nothing.
    HandOver {
        /// The client connection.
        link: LinkId,
        /// Whose it is from now on.
        shard: ShardId,
    },
    /// Ask `shard` for the reservation of `token` and answer with
    /// [`Completion::Claimed`].
    ClaimReservation {
        /// Who waits.
        ticket: Ticket,
        /// The shard that holds it.
        shard: ShardId,
        /// The token, and who claims it.
        claim: Claim,
    },
    /// Ask the credential stores for a user and answer with
    /// [`Engine::key_found`](crate::Engine::key_found), now or later.
    FindKey {
        /// Who waits.
        ticket: Ticket,
        /// Whose user it may be.
        realm: RealmId,
        /// The name, prepared as a user name is (RFC 8265, OpaqueString).
        name: &'a str,
    },
    /// Something that a log or an audit wants to know.
    Report(Report),
}

/// A claim to a reservation: its token, and the user it must belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub(crate) token: [u8; 8],
    pub(crate) account: u64,
}

/// The host's answer.
#[derive(Debug)]
pub enum Completion {
    /// The socket of this relay is bound and polled.
    Opened(RelayId),
    /// The socket of this relay could not be bound.
    Failed(RelayId, OpenError),
    /// The other shard's answer: the relay that
    /// [`Engine::adopt`](crate::Engine::adopt) made of it here, or nothing.
    Claimed(Option<RelayId>),
}

/// Why a relay socket could not be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has the port: another one is tried.
    #[error("the port is taken")]
    AddressInUse,
    /// No file descriptors, no memory: 508.
    #[error("no descriptor or memory left")]
    Exhausted,
    /// The address is not (or no longer) on this host: 508.
    #[error("the relay address is not available")]
    AddressUnavailable,
}

/// Why a connection to a peer could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailed {
    /// The peer refused, was not reached, or the host lacks what a connection needs: 447.
    #[error("the connection to the peer failed")]
    Refused,
    /// The kernel has such a connection, or had one a moment ago (EADDRINUSE, EADDRNOTAVAIL): 446.
    #[error("a connection with this peer exists already")]
    AddressInUse,
}

/// A relay on its way from one shard to another, with what it costs.
#[derive(Debug)]
pub struct Moving(pub(crate) Detached);

/// Queue of actions; the bytes of replies and names lie in one buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Queued>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Queued {
    Reply { link: LinkId, to: SocketAddr, from: SocketAddr, bytes: Range<usize> },
    OpenRelay { ticket: Ticket, relay: RelayId, bind: SocketAddr, protocol: RelayProtocol },
    CloseRelay(RelayId),
    ConnectPeer { connection: ConnectionId, relay: RelayId, bind: SocketAddr, peer: SocketAddr },
    Splice { link: LinkId, connection: ConnectionId },
    ClosePeer(ConnectionId),
    HandOver { link: LinkId, shard: ShardId },
    ClaimReservation { ticket: Ticket, shard: ShardId, claim: Claim },
    FindKey { ticket: Ticket, realm: RealmId, name: Range<usize> },
    Report(Report),
}

impl Outbox {
    /// Queues a reply that `write` puts into a buffer of `room` bytes; it says
    /// how many it used, or that they were too few.
    pub(crate) fn reply(
        &mut self,
        link: &Link,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, turn_codec::NoRoom>,
    ) {
        let start = self.bytes.len();
        // [H21] Zeroed, so that nothing of an earlier reply shows.
        self.bytes.resize(start + room, 0);
        let written = self.bytes.get_mut(start..).map_or(Err(turn_codec::NoRoom), write);
        debug_assert!(written.is_ok(), "a reply fits into {room} bytes");
        let used = written.unwrap_or(0);
        self.bytes.truncate(start + used);
        if used > 0 {
            self.queue.push_back(Queued::Reply {
                link: link.id,
                to: link.tuple.client,
                // [S14] From the very address that the client sent to.
                from: link.tuple.server,
                bytes: start..start + used,
            });
        }
    }

    pub(crate) fn open_relay(
        &mut self,
        ticket: Ticket,
        relay: RelayId,
        bind: SocketAddr,
        protocol: RelayProtocol,
    ) {
        self.queue.push_back(Queued::OpenRelay { ticket, relay, bind, protocol });
    }

    pub(crate) fn close_relay(&mut self, relay: RelayId) {
        self.queue.push_back(Queued::CloseRelay(relay));
    }

    pub(crate) fn connect_peer(
        &mut self,
        connection: ConnectionId,
        relay: RelayId,
        bind: SocketAddr,
        peer: SocketAddr,
    ) {
        self.queue.push_back(Queued::ConnectPeer { connection, relay, bind, peer });
    }

    pub(crate) fn splice(&mut self, link: LinkId, connection: ConnectionId) {
        self.queue.push_back(Queued::Splice { link, connection });
    }

    pub(crate) fn close_peer(&mut self, connection: ConnectionId) {
        self.queue.push_back(Queued::ClosePeer(connection));
    }

    pub(crate) fn hand_over(&mut self, link: LinkId, shard: ShardId) {
        self.queue.push_back(Queued::HandOver { link, shard });
    }

    pub(crate) fn claim_reservation(&mut self, ticket: Ticket, shard: ShardId, claim: Claim) {
        self.queue.push_back(Queued::ClaimReservation { ticket, shard, claim });
    }

    pub(crate) fn find_key(&mut self, ticket: Ticket, realm: RealmId, name: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        self.queue.push_back(Queued::FindKey { ticket, realm, name: start..self.bytes.len() });
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.queue.push_back(Queued::Report(report));
    }

    pub(crate) fn poll(&mut self) -> Option<Action<'_>> {
        let Some(queued) = self.queue.pop_front() else {
            self.bytes.clear();
            return None;
        };
        Some(match queued {
            Queued::Reply { link, to, from, bytes } => {
                Action::Reply { link, to, from, bytes: self.bytes.get(bytes).unwrap_or_default() }
            }
            Queued::OpenRelay { ticket, relay, bind, protocol } => {
                Action::OpenRelay { ticket, relay, bind, protocol }
            }
            Queued::CloseRelay(relay) => Action::CloseRelay(relay),
            Queued::ConnectPeer { connection, relay, bind, peer } => {
                Action::ConnectPeer { connection, relay, bind, peer }
            }
            Queued::Splice { link, connection } => Action::Splice { link, connection },
            Queued::ClosePeer(connection) => Action::ClosePeer(connection),
            Queued::HandOver { link, shard } => Action::HandOver { link, shard },
            Queued::ClaimReservation { ticket, shard, claim } => {
                Action::ClaimReservation { ticket, shard, claim }
            }
            Queued::FindKey { ticket, realm, name } => {
                let name = self.bytes.get(name).unwrap_or_default();
                Action::FindKey { ticket, realm, name: str::from_utf8(name).unwrap_or_default() }
            }
            Queued::Report(report) => Action::Report(report),
        })
    }
}
