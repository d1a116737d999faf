//! The engine's calls for client connections and for connections to peers.
//!
//! RFC 6062 section 5. What a call leads to is queued: drain
//! [`poll_action`](Engine::poll_action) after each.

use std::net::SocketAddr;

use crate::action::ConnectFailed;
use crate::engine::Engine;
use crate::id::{ConnectionId, RelayId};
use crate::link::{FiveTuple, LinkId};
use crate::meter::Direction;
use crate::methods::{connect, connection_attempt};
use crate::peer_connections::State;
use crate::time::Now;

impl Engine {
    /// A client connection (TCP, TLS or DTLS) ended: its allocation ends with it
    /// (RFC 8656 section 7.5), and so does the connection to a peer that it is
    /// spliced with (RFC 6062 section 5.5).
    pub fn link_closed(&mut self, now: Now, link: LinkId) {
        let (openings, mut bench) = self.workbench();
        openings.abandon(&mut bench, now, link);
        bench.table.end_link(link, now.mono, bench.outbox);
        self.waiting.abandon(link);
    }

    /// Whether a 5-tuple has a live allocation, or is a client data connection's:
    /// what a host must not close because it is idle.
    pub fn serves(&self, now: Now, tuple: &FiveTuple) -> bool {
        self.table.serves(tuple, now.mono)
    }

    /// A peer has connected to the relayed transport address of a TCP allocation
    /// (RFC 6062 section 5.3). `None`: close the connection at once. `Some`: the
    /// client has been told, and has 30 s to bind it.
    pub fn accept_peer(
        &mut self,
        now: Now,
        relay: RelayId,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        connection_attempt::accept(&mut self.workbench().1, now, relay, peer)
    }

    /// The host's answer to [`ConnectPeer`](crate::Action::ConnectPeer). One that
    /// comes too late leads to [`ClosePeer`](crate::Action::ClosePeer).
    pub fn peer_connected(
        &mut self,
        now: Now,
        connection: ConnectionId,
        outcome: Result<(), ConnectFailed>,
    ) {
        connect::connected(&mut self.workbench().1, now, connection, outcome);
    }

    /// The host has closed a connection to a peer, because either side of it has
    /// ended (RFC 6062 section 5.5) or failed: it is forgotten.
    pub fn peer_closed(&mut self, now: Now, connection: ConnectionId) {
        let (_, mut bench) = self.workbench();
        let connections = bench.table.peer_connections_mut();
        let is_pending = connections
            .get(connection)
            .is_some_and(|it| matches!(it.state, State::Connecting { .. }));
        if is_pending {
            connect::connected(&mut bench, now, connection, Err(ConnectFailed::Refused));
        } else {
            connections.remove(connection);
        }
    }

    /// Whether so many bytes may flow through a spliced connection now: asked
    /// before they are read. If so, they are counted; if not, nothing is, and the
    /// host asks again a few milliseconds later. More than 64 KiB at once may
    /// never pass a bandwidth limit, whose least burst that is.
    pub fn relay_stream(
        &mut self,
        now: Now,
        connection: ConnectionId,
        direction: Direction,
        bytes: usize,
    ) -> bool {
        let relay =
            self.table.peer_connections().get(connection).map(|connection| connection.relay);
        relay.is_some_and(|relay| {
            self.relaying(|relaying| relaying.stretch(now, relay, direction, bytes))
        })
    }

    /// Connections to peers of this shard, those that are being made included.
    pub fn peer_connections(&self) -> usize {
        self.table.peer_connections().len()
    }
}
