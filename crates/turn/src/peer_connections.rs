//! TCP connections between relayed transport addresses and peers.
//!
//! RFC 6062 section 5: made by Connect or accepted from a peer, and bound to a client data
//! connection by ConnectionBind.
//!
//! ```text
//!   Connect ──> connecting ──connected──> unbound ──ConnectionBind──> bound
//!                   │                       │ ^                         │
//!                   └──30 s: 447            │ └── accepted from a peer  └──either side closes
//!                                           └──30 s: closed
//! ```
//!
//! Each belongs to one relayed transport address and is gone with it `[X8]`.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashSet};
use turn_codec::TransactionId;

use crate::deadlines::Deadlines;
use crate::id::{ConnectionId, RelayId, ShardId};
use crate::link::{FiveTuple, Link, LinkId};
use crate::random::Random;
use crate::reply::{Asked, Signer};

/// RFC 6062 section 5.2: a Connect may take, and a connection may stay unbound for, 30 seconds.
// [X2, X4]
const PATIENCE: Duration = Duration::from_secs(30);

/// Random ids that are tried before a connection is refused.
const MOST_ATTEMPTS: u8 = 64;

/// The connections of one shard.
#[derive(Debug)]
pub(crate) struct PeerConnections {
    connections: HashMap<ConnectionId, PeerConnection, FixedState>,
    by_relay: HashMap<RelayId, Vec<ConnectionId>, FixedState>,
    by_link: HashMap<LinkId, ConnectionId, FixedState>,
    /// The 5-tuples of the links above.
    tuples: HashSet<FiveTuple, FixedState>,
    deadlines: Deadlines<ConnectionId>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct PeerConnection {
    /// The relayed transport address that it ends at.
    pub(crate) relay: RelayId,
    /// As the client knows it.
    pub(crate) peer: SocketAddr,
    pub(crate) opener: Opener,
    pub(crate) state: State,
}

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opener {
    Client,
    Peer,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum State {
    /// The host connects; the client waits for the answer.
    Connecting { pending: Box<Pending>, until: Instant },
    /// It waits for a ConnectionBind.
    Unbound { until: Instant },
    /// It is spliced with this client data connection.
    Bound { link: Link },
}

/// A Connect request that has no answer yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) asked: Asked,
    pub(crate) signer: Signer,
}

impl PeerConnections {
    pub(crate) fn new(seed: u64) -> Self {
        let hash = || FixedState::with_seed(seed);
        Self {
            connections: HashMap::with_hasher(hash()),
            by_relay: HashMap::with_hasher(hash()),
            by_link: HashMap::with_hasher(hash()),
            tuples: HashSet::with_hasher(hash()),
            deadlines: Deadlines::new(),
        }
    }

    /// Starts on a Connect; `None` when no id is free.
    pub(crate) fn connecting(
        &mut self,
        random: &mut Random,
        shard: ShardId,
        (relay, peer): (RelayId, SocketAddr),
        pending: Pending,
        now: Instant,
    ) -> Option<ConnectionId> {
        let until = now + PATIENCE;
        let state = State::Connecting { pending: Box::new(pending), until };
        let connection = PeerConnection { relay, peer, opener: Opener::Client, state };
        let id = self.insert(random, shard, connection)?;
        self.deadlines.push(id, until);
        Some(id)
    }

    /// Takes in a connection that a peer has opened; `None` when no id is free.
    pub(crate) fn accepted(
        &mut self,
        random: &mut Random,
        shard: ShardId,
        (relay, peer): (RelayId, SocketAddr),
        now: Instant,
    ) -> Option<ConnectionId> {
        // [X4]
        let until = now + PATIENCE;
        let state = State::Unbound { until };
        let connection = PeerConnection { relay, peer, opener: Opener::Peer, state };
        let id = self.insert(random, shard, connection)?;
        self.deadlines.push(id, until);
        Some(id)
    }

    /// The host has connected: the request that can be answered now.
    pub(crate) fn connected(&mut self, id: ConnectionId, now: Instant) -> Option<Box<Pending>> {
        let connection = self.connections.get_mut(&id)?;
        // [X4]
        let until = now + PATIENCE;
        match std::mem::replace(&mut connection.state, State::Unbound { until }) {
            State::Connecting { pending, .. } => {
                self.deadlines.push(id, until);
                Some(pending)
            }
            other @ (State::Unbound { .. } | State::Bound { .. }) => {
                connection.state = other;
                None
            }
        }
    }

    /// Ties a connection that waits for it to a client data connection.
    pub(crate) fn bind(&mut self, id: ConnectionId, link: Link) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.state = State::Bound { link };
            self.by_link.insert(link.id, id);
            self.tuples.insert(link.tuple);
        }
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<PeerConnection> {
        let connection = self.connections.remove(&id)?;
        if let Some(ids) = self.by_relay.get_mut(&connection.relay) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_relay.remove(&connection.relay);
            }
        }
        if let State::Bound { link } = connection.state {
            self.by_link.remove(&link.id);
            self.tuples.remove(&link.tuple);
        }
        let Self { connections, deadlines, .. } = self;
        deadlines.prune(connections.len(), |due, id| is_due(connections, due, id));
        Some(connection)
    }

    /// Forgets the connection that a link is spliced with.
    pub(crate) fn remove_link(&mut self, link: LinkId) -> Option<ConnectionId> {
        let id = *self.by_link.get(&link)?;
        self.remove(id);
        Some(id)
    }

    /// Forgets every connection of a relayed transport address.
    pub(crate) fn remove_relay(&mut self, relay: RelayId) -> Vec<ConnectionId> {
        let ids = self.by_relay.remove(&relay).unwrap_or_default();
        for id in &ids {
            self.remove(*id);
        }
        ids
    }

    /// Forgets one connection whose time is up.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<(ConnectionId, PeerConnection)> {
        while let Some((due, id)) = self.deadlines.pop_due(now) {
            if is_due(&self.connections, due, id) {
                return self.remove(id).map(|connection| (id, connection));
            }
        }
        None
    }

    /// Forgets every connection that `is_denied`.
    pub(crate) fn remove_denied(
        &mut self,
        is_denied: impl Fn(&PeerConnection) -> bool,
    ) -> Vec<(ConnectionId, PeerConnection)> {
        let denied = self.connections.iter().filter(|(_, connection)| is_denied(connection));
        let ids: Vec<_> = denied.map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| Some((id, self.remove(id)?))).collect()
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&PeerConnection> {
        self.connections.get(&id)
    }

    /// The connection of a relayed transport address with this peer.
    pub(crate) fn with_peer(&self, relay: RelayId, peer: SocketAddr) -> Option<&PeerConnection> {
        self.of(relay).find(|connection| connection.peer == peer)
    }

    /// Whether a relayed transport address is connected with this address.
    pub(crate) fn has_address(&self, relay: RelayId, address: IpAddr) -> bool {
        self.of(relay).any(|connection| connection.peer.ip() == address)
    }

    /// Connections of a relayed transport address.
    pub(crate) fn count(&self, relay: RelayId) -> usize {
        self.by_relay.get(&relay).map_or(0, Vec::len)
    }

    /// Whether this link is a client data connection.
    pub(crate) fn is_bound(&self, link: LinkId) -> bool {
        self.by_link.contains_key(&link)
    }

    /// Whether a client data connection has this 5-tuple.
    pub(crate) fn serves(&self, tuple: &FiveTuple) -> bool {
        self.tuples.contains(tuple)
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn insert(
        &mut self,
        random: &mut Random,
        shard: ShardId,
        connection: PeerConnection,
    ) -> Option<ConnectionId> {
        let id = self.free_id(random, shard)?;
        self.by_relay.entry(connection.relay).or_default().push(id);
        self.connections.insert(id, connection);
        Some(id)
    }

    /// RFC 6062 section 5.2: an id "MUST uniquely identify the peer data connection". The shard,
    /// which any shard must be able to read, and 24 random bits `[X3]`.
    fn free_id(&self, random: &mut Random, shard: ShardId) -> Option<ConnectionId> {
        (0..MOST_ATTEMPTS)
            // [X3]
            .map(|_| ConnectionId::new(shard, random.next_u32()))
            .find(|id| !self.connections.contains_key(id))
    }

    fn of(&self, relay: RelayId) -> impl Iterator<Item = &PeerConnection> {
        let ids = self.by_relay.get(&relay).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.connections.get(id))
    }
}

/// Whether a deadline counts: one of an earlier state, or of one who had this id before, is stale.
fn is_due(
    connections: &HashMap<ConnectionId, PeerConnection, FixedState>,
    due: Instant,
    id: ConnectionId,
) -> bool {
    connections.get(&id).is_some_and(|connection| connection.until() == Some(due))
}

impl PeerConnection {
    /// Whether it is the Connect of this transaction that made it, still unanswered.
    pub(crate) fn is_pending(&self, transaction: TransactionId) -> bool {
        matches!(&self.state, State::Connecting { pending, .. } if pending.asked.transaction == transaction)
    }

    const fn until(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { until, .. } | State::Unbound { until } => Some(until),
            State::Bound { .. } => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;
    use crate::id::RealmId;

    const SHARD: ShardId = ShardId(3);

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn x3_connection_id_that_is_taken_is_not_given_twice() {
        let start = Instant::now();
        let mut draws = [1_u32, 1, 1, 0x0100_0001, 2].into_iter();
        let mut random = Random::new(move |bytes| {
            let draw = draws.next().unwrap_or(2).to_be_bytes();
            bytes.iter_mut().zip(draw).for_each(|(to, from)| *to = from);
        });
        let relay = RelayId::from_bits(0);
        let mut connections = PeerConnections::new(1);
        let mut accept =
            |port| connections.accepted(&mut random, SHARD, (relay, peer(port)), start);
        let first = accept(1).expect("nothing is taken");
        assert_eq!(first.to_bits(), 0x0300_0001);
        // The top bits of the draw are not the id's: 0x0100_0001 is a collision too.
        let second = accept(2).expect("almost nothing is taken");
        assert_eq!(second.to_bits(), 0x0300_0002);
        assert_eq!(accept(3), None, "tries are bounded");
        assert_eq!(connections.len(), 2);
    }

    #[test]
    fn x8_nothing_of_a_relay_is_left_when_it_is_gone() {
        let start = Instant::now();
        let mut seed = 0_u32;
        let mut random = Random::new(move |bytes| {
            seed += 1;
            bytes.iter_mut().zip(seed.to_be_bytes()).for_each(|(to, from)| *to = from);
        });
        let relay = RelayId::from_bits(0);
        let other = RelayId::from_bits(1);
        let mut connections = PeerConnections::new(1);
        let mut accept = |relay, port| {
            let id = connections.accepted(&mut random, SHARD, (relay, peer(port)), start);
            id.expect("there is room")
        };
        let ids = [accept(relay, 1), accept(relay, 2)];
        let kept = accept(other, 1);
        let tuple = FiveTuple {
            transport: crate::link::Transport::Tcp,
            client: peer(9),
            server: peer(3_478),
        };
        let link = Link { id: LinkId(7), tuple, realm: RealmId(0) };
        connections.bind(ids[0], link);
        assert!(connections.serves(&tuple) && connections.is_bound(link.id));
        assert_eq!(connections.remove_relay(relay), ids);
        assert!(!connections.serves(&tuple) && !connections.is_bound(link.id));
        assert_eq!((connections.len(), connections.count(relay)), (1, 0));
        assert!(connections.get(kept).is_some());
        let (expired, _) = connections.pop_expired(start + PATIENCE).expect("it was never bound");
        assert_eq!(expired, kept);
        assert!(connections.pop_expired(start + PATIENCE).is_none());
        assert_eq!(connections.next_deadline(), None);
    }

    #[test]
    fn connections_that_come_and_go_leave_no_deadlines_behind() {
        let start = Instant::now();
        let mut draw = 0_u32;
        let mut random = Random::new(move |bytes| {
            draw += 1;
            bytes.iter_mut().zip(draw.to_be_bytes()).for_each(|(to, from)| *to = from);
        });
        let relay = RelayId::from_bits(0);
        let mut connections = PeerConnections::new(1);
        let mut accept = |connections: &mut PeerConnections, now| {
            let id = connections.accepted(&mut random, SHARD, (relay, peer(1)), now);
            id.expect("there is room")
        };
        let kept = accept(&mut connections, start);
        for milli in 0..10_000 {
            let id = accept(&mut connections, start + Duration::from_millis(milli));
            connections.remove(id);
        }
        assert!(connections.deadlines.len() < 100, "{} deadlines", connections.deadlines.len());
        let (expired, _) = connections.pop_expired(start + PATIENCE).expect("it was never bound");
        assert_eq!(expired, kept);
    }
}
