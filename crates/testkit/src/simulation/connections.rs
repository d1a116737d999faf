//! TCP connections of relay sockets with peers, and what becomes of them (RFC 6062).

use std::net::SocketAddr;

use turn_engine::{ConnectFailed, ConnectionId, Direction, FiveTuple, LinkId, RelayProtocol};

use super::{Cause, Held, Simulation};
use crate::emitted::Emitted;
use crate::invariants;
use crate::peer_connection::{PeerAnswer, PeerConnection};

impl Simulation {
    /// A peer connects to a relayed transport address, if a socket listens there.
    pub(crate) fn peer_connects(&mut self, relayed: SocketAddr, peer: SocketAddr) -> Emitted {
        self.process();
        let bound = SocketAddr::new(self.setup.bound_form(relayed.ip()), relayed.port());
        let mut emitted = Emitted::default();
        self.accept(bound, peer, None, &mut emitted);
        self.settle(Cause::Peer, &emitted, true);
        emitted
    }

    /// The peer, or the client, ends a connection.
    pub(crate) fn end_connection(&mut self, id: u32) {
        let connection = self.kernel.connection(id).expect("an open connection");
        let mut emitted = Emitted::default();
        self.wire_ended(connection, &mut emitted);
        emitted.expect_silence();
        invariants::check(self);
    }

    /// Bytes wait at a spliced connection: whether they may flow.
    pub(crate) fn flows(&mut self, id: u32, direction: Direction, bytes: usize) -> bool {
        let connection = self.kernel.connection(id).expect("an open connection");
        let now = self.clock.now();
        self.engine(connection.shard()).relay_stream(now, connection, direction, bytes)
    }

    /// Opens a connection to a peer, outside or at a relay socket of ours.
    pub(super) fn connect(
        &mut self,
        connection: ConnectionId,
        bind: SocketAddr,
        peer: SocketAddr,
        emitted: &mut Emitted,
    ) {
        let wire = PeerConnection {
            id: connection.to_bits(),
            relayed: bind,
            peer,
            spliced: None,
            other: None,
        };
        let before = self.kernel.connections.insert(connection, wire);
        assert_eq!(before, None, "a CONNECTION-ID is unique");
        if self.kernel.socket_at((RelayProtocol::Tcp, peer)).is_some() {
            let is_accepted = self.accept(peer, bind, Some(connection), emitted);
            self.connected(connection, Ok(()), emitted);
            if !is_accepted {
                self.wire_ended(connection, emitted);
            }
            return;
        }
        let outcome = match self.kernel.peers {
            PeerAnswer::Accepts => Ok(()),
            PeerAnswer::Refuses => Err(ConnectFailed::Refused),
            PeerAnswer::IsInUse => Err(ConnectFailed::AddressInUse),
            PeerAnswer::IsSilent => return,
        };
        if self.is_holding {
            self.held.push(Held::Connected(connection, outcome));
        } else {
            self.connected(connection, outcome, emitted);
        }
    }

    pub(super) fn connected(
        &mut self,
        connection: ConnectionId,
        outcome: Result<(), ConnectFailed>,
        emitted: &mut Emitted,
    ) {
        if outcome.is_err() {
            self.kernel.connections.remove(&connection);
        }
        let now = self.clock.now();
        self.engine(connection.shard()).peer_connected(now, connection, outcome);
        self.drain(connection.shard(), now, emitted);
    }

    /// A connection reaches a relay socket: whether it stays.
    fn accept(
        &mut self,
        bound: SocketAddr,
        peer: SocketAddr,
        other: Option<ConnectionId>,
        emitted: &mut Emitted,
    ) -> bool {
        let Some((shard, relay)) = self.kernel.socket_at((RelayProtocol::Tcp, bound)) else {
            return false;
        };
        let now = self.clock.now();
        let Some(connection) = self.engine(shard).accept_peer(now, relay, peer) else {
            self.drain(shard, now, emitted);
            return false;
        };
        assert_eq!(connection.shard(), shard, "a CONNECTION-ID names its shard");
        let id = connection.to_bits();
        let wire = PeerConnection { id, relayed: bound, peer, spliced: None, other };
        let before = self.kernel.connections.insert(connection, wire);
        assert_eq!(before, None, "a CONNECTION-ID is unique");
        if let Some(other) = other.and_then(|other| self.kernel.connections.get_mut(&other)) {
            other.other = Some(connection);
        }
        self.drain(shard, now, emitted);
        true
    }

    /// The engine closes a connection, and with it the client's side and the other end.
    pub(super) fn close_peer(&mut self, connection: ConnectionId, emitted: &mut Emitted) {
        let Some(wire) = self.kernel.connections.remove(&connection) else { return };
        let now = self.clock.now();
        if let Some((link, tuple)) = wire.spliced.and_then(|tuple| self.stream(&tuple)) {
            self.streams.remove(&link);
            self.kernel.forget_client(&tuple);
            self.engine(connection.shard()).link_closed(now, link);
        }
        if let Some(other) = wire.other {
            self.wire_ended(other, emitted);
        }
    }

    /// The host notices that a connection has ended.
    fn wire_ended(&mut self, connection: ConnectionId, emitted: &mut Emitted) {
        if self.kernel.connections.contains_key(&connection) {
            let now = self.clock.now();
            self.engine(connection.shard()).peer_closed(now, connection);
            self.close_peer(connection, emitted);
            self.drain(connection.shard(), now, emitted);
        }
    }

    fn stream(&self, tuple: &FiveTuple) -> Option<(LinkId, FiveTuple)> {
        let mut streams = self.streams.iter();
        streams.find(|(_, known)| *known == tuple).map(|(link, tuple)| (*link, *tuple))
    }
}
