//! All allocations of a shard: one slab of allocations, one of relayed
//! transport addresses, one index by 5-tuple, one heap of deadlines, and the
//! connections of TCP allocations.
//!
//! ```text
//!   5-tuple --index--> Allocation --relays--> Relay      (from a client: the only hash)
//!   RelayId ---------> Relay --holder--> Allocation      (from a peer: no hash)
//! ```
//!
//! A deadline is lazy: a Refresh does not touch it; when it is popped, the
//! relay is asked for its true expiry and armed again or closed.

mod control;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashTable};

use crate::action::Outbox;
use crate::allocation::{
    Allocation, Holder, Owner, PortSpace, Relay, RelayProtocol, Relays, Reservation,
};
use crate::arena::Arena;
use crate::counters::Counters;
use crate::deadlines::Deadlines;
use crate::id::{AllocationId, AllocationKey, ConnectionId, RelayId, ShardId};
use crate::link::{FiveTuple, Link, LinkId};
use crate::notes::note_response;
use crate::peer_connections::{PeerConnection, PeerConnections, State};
use crate::port_map::Parity;
use crate::reject::Reject;
use crate::report::{EndReason, Report};
use crate::settings::RelaySettings;
use crate::shared::Shared;

/// The allocations of one shard.
#[derive(Debug)]
pub(crate) struct Allocations {
    shard: ShardId,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    allocations: Arena<AllocationKey, Allocation>,
    relays: Arena<RelayId, Relay>,
    index: HashTable<AllocationKey>,
    hash: FixedState,
    /// The allocation of each client connection.
    by_link: HashMap<LinkId, AllocationKey, FixedState>,
    deadlines: Deadlines<RelayId>,
    peer_connections: PeerConnections,
    serial: u64,
}

/// A reserved relay that leaves for another shard. Its port stays held.
#[derive(Debug)]
pub(crate) struct Detached {
    space: PortSpace,
    bound: SocketAddr,
    advertised: SocketAddr,
    expires_at: Instant,
    reservation: Reservation,
}

impl Allocations {
    /// `seed` keys the index; its keys have authenticated themselves, so a
    /// fast hash will do.
    pub(crate) fn new(
        shard: ShardId,
        shared: Arc<Shared>,
        counters: Arc<Counters>,
        seed: u64,
    ) -> Self {
        let hash = FixedState::with_seed(seed);
        Self {
            shard,
            shared,
            counters,
            allocations: Arena::new(),
            relays: Arena::new(),
            index: HashTable::new(),
            by_link: HashMap::with_hasher(hash.clone()),
            hash,
            deadlines: Deadlines::new(),
            peer_connections: PeerConnections::new(seed),
            serial: 0,
        }
    }

    pub(crate) fn next_id(&mut self) -> AllocationId {
        self.serial += 1;
        AllocationId { shard: self.shard, serial: self.serial }
    }

    /// Takes the port and the slot of a relayed transport address.
    pub(crate) fn claim_relay(
        &mut self,
        settings: &RelaySettings,
        space: PortSpace,
        parity: Parity,
        random: u32,
        now: Instant,
    ) -> Option<RelayId> {
        let port = self.shared.ports_in(space)?.claim(random, parity, self.shared.second(now))?;
        let relay = self.insert_relay(settings, space, port, now);
        if relay.is_none() {
            self.release_port(space, port, now);
        }
        relay
    }

    /// The slot of a port that has been claimed already.
    pub(crate) fn insert_relay(
        &mut self,
        settings: &RelaySettings,
        space: PortSpace,
        port: u16,
        now: Instant,
    ) -> Option<RelayId> {
        let place = settings.addresses.get(space.address)?;
        let relay = Relay {
            holder: Holder::Opening,
            space,
            bound: SocketAddr::new(place.bound, port),
            advertised: SocketAddr::new(place.advertised, port),
            expires_at: now,
            armed: None,
        };
        self.relays.insert(relay).ok()
    }

    pub(crate) fn release_port(&self, space: PortSpace, port: u16, now: Instant) {
        if let Some(ports) = self.shared.ports_in(space) {
            ports.release(port, self.shared.second(now));
        }
    }

    /// Makes the allocation live: from now on its 5-tuple finds it and its
    /// ports are published.
    pub(crate) fn insert(
        &mut self,
        allocation: Allocation,
        expires_at: Instant,
    ) -> Option<AllocationKey> {
        let link = allocation.link;
        let relays = allocation.relays;
        let key = self.allocations.insert(allocation).ok()?;
        if link.tuple.transport.is_connection() {
            self.by_link.insert(link.id, key);
        }
        let hash = link.tuple.hash_by(&self.hash);
        let Self { index, allocations, hash: state, .. } = self;
        index.insert_unique(hash, key, |key| {
            allocations.get(*key).map_or(0, |allocation| allocation.link.tuple.hash_by(state))
        });
        for id in relays.iter() {
            let Some(relay) = self.relays.get_mut(id) else { continue };
            relay.holder = Holder::Allocation(key);
            relay.expires_at = expires_at;
            let (space, port) = (relay.space, relay.bound.port());
            self.deadlines.arm(id, expires_at, &mut relay.armed);
            if let Some(ports) = self.shared.ports_in(space) {
                ports.publish(port, self.shard, id);
            }
        }
        self.counters.allocations_created.add(1);
        Some(key)
    }

    /// Turns an opened relay into a reservation.
    pub(crate) fn reserve(&mut self, id: RelayId, reservation: Reservation, expires_at: Instant) {
        if let Some(relay) = self.relays.get_mut(id) {
            relay.holder = Holder::Reservation(reservation);
            relay.expires_at = expires_at;
            self.deadlines.arm(id, expires_at, &mut relay.armed);
        }
    }

    /// Takes the reservation of this token, if `account` made it; its relay is
    /// the caller's from now on.
    pub(crate) fn claim_reservation(
        &mut self,
        token: [u8; 8],
        account: u64,
        now: Instant,
    ) -> Option<(RelayId, Reservation)> {
        let is_it = |relay: &Relay| match &relay.holder {
            Holder::Reservation(reservation) => {
                reservation.token == token
                    && reservation.account == account
                    && relay.expires_at > now
            }
            Holder::Opening | Holder::Allocation(_) => false,
        };
        // Reservations live 30 s and count toward quotas, so this walk is short
        // and rare; an index would cost every allocation.
        let (id, _) = self.relays.iter().find(|(_, relay)| is_it(relay))?;
        let relay = self.relays.get_mut(id)?;
        match std::mem::replace(&mut relay.holder, Holder::Opening) {
            Holder::Reservation(reservation) => Some((id, reservation)),
            Holder::Opening | Holder::Allocation(_) => None,
        }
    }

    /// Takes a claimed relay out of this shard.
    pub(crate) fn detach(&mut self, id: RelayId, reservation: Reservation) -> Option<Detached> {
        let relay = self.relays.remove(id)?;
        Some(Detached {
            space: relay.space,
            bound: relay.bound,
            advertised: relay.advertised,
            expires_at: relay.expires_at,
            reservation,
        })
    }

    /// Takes a relay of another shard in; `None`, and its port is free, when all
    /// slots are in use.
    pub(crate) fn adopt(&mut self, detached: Detached, now: Instant) -> Option<RelayId> {
        let Detached { space, bound, advertised, expires_at, reservation } = detached;
        let holder = Holder::Reservation(reservation);
        let relay = Relay { holder, space, bound, advertised, expires_at, armed: None };
        match self.relays.insert(relay) {
            Ok(id) => {
                if let Some(relay) = self.relays.get_mut(id) {
                    self.deadlines.arm(id, expires_at, &mut relay.armed);
                }
                Some(id)
            }
            Err(relay) => {
                self.release_port(relay.space, relay.bound.port(), now);
                None
            }
        }
    }

    /// Takes the reservation out of an adopted relay.
    pub(crate) fn take_reservation(&mut self, id: RelayId) -> Option<Reservation> {
        let relay = self.relays.get_mut(id)?;
        match std::mem::replace(&mut relay.holder, Holder::Opening) {
            Holder::Reservation(reservation) => Some(reservation),
            other @ (Holder::Opening | Holder::Allocation(_)) => {
                relay.holder = other;
                None
            }
        }
    }

    /// Closes a relay that never became an allocation's.
    pub(crate) fn discard_relay(&mut self, id: RelayId, now: Instant, outbox: &mut Outbox) {
        if let Some(relay) = self.relays.remove(id) {
            self.release_port(relay.space, relay.bound.port(), now);
            outbox.close_relay(id);
        }
    }

    /// Closes one relayed transport address; the allocation ends with its
    /// last one.
    pub(crate) fn close_relay(
        &mut self,
        id: RelayId,
        now: Instant,
        reason: EndReason,
        outbox: &mut Outbox,
    ) {
        let Some(relay) = self.relays.remove(id) else { return };
        self.release_port(relay.space, relay.bound.port(), now);
        outbox.close_relay(id);
        if relay.space.protocol == RelayProtocol::Tcp {
            // [X8] RFC 6062 section 5.5: data connections MUST end with their allocation.
            for connection in self.peer_connections.remove_relay(id) {
                outbox.close_peer(connection);
            }
        }
        let family = relay.family();
        let Holder::Allocation(key) = relay.holder else { return };
        let Some(allocation) = self.allocations.get_mut(key) else { return };
        allocation.relays.set(family, None);
        if allocation.relays.iter().next().is_none() {
            self.remove(key, now, reason, outbox);
        } else {
            // Permissions and channels of this family went with it.
            allocation.permissions.retain(|peer| turn_codec::AddressFamily::of_ip(&peer) != family);
            allocation.channels.retain(|peer| turn_codec::AddressFamily::of(&peer) != family);
        }
    }

    /// Ends the allocation: its relays, permissions and channels are gone.
    pub(crate) fn end(
        &mut self,
        key: AllocationKey,
        now: Instant,
        reason: EndReason,
        outbox: &mut Outbox,
    ) {
        let relays =
            self.allocations.get(key).map_or(Relays::default(), |allocation| allocation.relays);
        for id in relays.iter() {
            self.close_relay(id, now, reason, outbox);
        }
    }

    /// Ends what a client connection that closed was there for.
    pub(crate) fn end_link(&mut self, link: LinkId, now: Instant, outbox: &mut Outbox) {
        // [X8] RFC 6062 section 5.5: when one half closes, so does the other.
        if let Some(connection) = self.peer_connections.remove_link(link) {
            outbox.close_peer(connection);
        }
        if let Some(key) = self.by_link.get(&link) {
            self.end(*key, now, EndReason::LinkClosed, outbox);
        }
    }

    /// Closes what has expired.
    pub(crate) fn expire(&mut self, now: Instant, outbox: &mut Outbox) {
        // [X2, X4] The host answers no more, or the client has not bound it.
        while let Some((id, connection)) = self.peer_connections.pop_expired(now) {
            self.give_up(id, &connection, &Reject::ConnectionFailed, outbox);
        }
        while let Some((due, id)) = self.deadlines.pop_due(now) {
            let Some(relay) = self.relays.get_mut(id).filter(|relay| relay.armed == Some(due))
            else {
                continue;
            };
            relay.armed = None;
            match &relay.holder {
                // Whoever opens it closes it.
                Holder::Opening => {}
                Holder::Allocation(_) | Holder::Reservation(_) if relay.expires_at > now => {
                    self.deadlines.arm(id, relay.expires_at, &mut relay.armed);
                }
                Holder::Allocation(_) | Holder::Reservation(_) => {
                    self.close_relay(id, now, EndReason::Expired, outbox);
                }
            }
        }
    }

    /// Moves the expiry of one relay; an earlier one needs a deadline of its own.
    pub(crate) fn set_expiry(&mut self, id: RelayId, expires_at: Instant) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        relay.expires_at = expires_at;
        self.deadlines.arm(id, expires_at, &mut relay.armed);
    }

    /// The allocation of a 5-tuple that has not expired.
    pub(crate) fn find(&self, tuple: &FiveTuple, now: Instant) -> Option<AllocationKey> {
        let hash = tuple.hash_by(&self.hash);
        let key = *self.index.find(hash, |key| {
            self.allocations.get(*key).is_some_and(|allocation| allocation.link.tuple == *tuple)
        })?;
        self.is_live(key, now).then_some(key)
    }

    /// Whether a 5-tuple has a live allocation, or is that of a client data
    /// connection.
    pub(crate) fn serves(&self, tuple: &FiveTuple, now: Instant) -> bool {
        self.find(tuple, now).is_some() || self.peer_connections.serves(tuple)
    }

    /// Whether some relay of the allocation has not expired.
    fn is_live(&self, key: AllocationKey, now: Instant) -> bool {
        self.allocations.get(key).is_some_and(|allocation| {
            allocation
                .relays
                .iter()
                .any(|id| self.relays.get(id).is_some_and(|relay| relay.expires_at > now))
        })
    }

    pub(crate) fn get(&self, key: AllocationKey) -> Option<&Allocation> {
        self.allocations.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: AllocationKey) -> Option<&mut Allocation> {
        self.allocations.get_mut(key)
    }

    /// Who made the allocation of a live relay.
    pub(crate) fn owner_of(&self, id: RelayId, now: Instant) -> Option<&Owner> {
        let relay = self.relays.get(id).filter(|relay| relay.expires_at > now)?;
        match relay.holder {
            Holder::Allocation(key) => self.get(key).map(|allocation| &allocation.owner),
            Holder::Opening | Holder::Reservation(_) => None,
        }
    }

    pub(crate) fn relay(&self, id: RelayId) -> Option<&Relay> {
        self.relays.get(id)
    }

    /// From now on the client is reached where its request came from: the 5-tuple is the same,
    /// but a proxy in front of it may have taken another port.
    pub(crate) fn follow(&mut self, key: AllocationKey, link: &Link) {
        // A connection is what its allocation hangs on, and is not exchanged.
        if !link.tuple.transport.is_connection()
            && let Some(allocation) = self.allocations.get_mut(key)
        {
            allocation.link.id = link.id;
        }
    }

    /// A live relay and its allocation.
    pub(crate) fn relay_and_allocation(
        &mut self,
        id: RelayId,
        now: Instant,
    ) -> Option<(&Relay, &mut Allocation)> {
        let relay = self.relays.get(id).filter(|relay| relay.expires_at > now)?;
        match relay.holder {
            Holder::Allocation(key) => {
                self.allocations.get_mut(key).map(|allocation| (relay, allocation))
            }
            Holder::Opening | Holder::Reservation(_) => None,
        }
    }

    pub(crate) const fn peer_connections(&self) -> &PeerConnections {
        &self.peer_connections
    }

    pub(crate) const fn peer_connections_mut(&mut self) -> &mut PeerConnections {
        &mut self.peer_connections
    }

    /// An allocation, and beside it the connections of all.
    pub(crate) fn with_connections(
        &mut self,
        key: AllocationKey,
    ) -> Option<(&mut Allocation, &mut PeerConnections)> {
        let allocation = self.allocations.get_mut(key)?;
        Some((allocation, &mut self.peer_connections))
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.deadlines.next(), self.peer_connections.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    pub(crate) fn len(&self) -> usize {
        self.allocations.len()
    }

    pub(crate) fn relays_len(&self) -> usize {
        self.relays.len()
    }

    /// Closes a connection that has been forgotten; whoever waits for it hears why.
    fn give_up(
        &self,
        id: ConnectionId,
        connection: &PeerConnection,
        reject: &Reject,
        outbox: &mut Outbox,
    ) {
        outbox.close_peer(id);
        if let State::Connecting { pending, .. } = &connection.state {
            pending.asked.refuse(&pending.signer, reject, outbox);
            note_response(&self.counters, &self.shared, &pending.asked, Some(reject), outbox);
        }
    }

    fn remove(&mut self, key: AllocationKey, now: Instant, reason: EndReason, outbox: &mut Outbox) {
        let Some(allocation) = self.allocations.get(key) else { return };
        let hash = allocation.link.tuple.hash_by(&self.hash);
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == key) {
            entry.remove();
        }
        let Some(allocation) = self.allocations.remove(key) else { return };
        if allocation.link.tuple.transport.is_connection() {
            self.by_link.remove(&allocation.link.id);
        }
        self.counters.allocations_ended.add(1);
        outbox.report(Report::Ended {
            id: allocation.id,
            peers: allocation.peers().as_slice().into(),
            user: allocation.owner.name,
            realm: allocation.owner.account.realm,
            tenant: allocation.owner.account.tenant,
            marks: allocation.owner.marks,
            link: allocation.link,
            relayed: allocation.relayed,
            reason,
            traffic: allocation.traffic,
            age: now.saturating_duration_since(allocation.born),
        });
    }
}
