//! All allocations of a shard: one slab of allocations, one of relayed
//! transport addresses, one index by 5-tuple, one heap of deadlines.
//!
//! ```text
//!   5-tuple --index--> Allocation --relays--> Relay      (from a client: the only hash)
//!   RelayId ---------> Relay --holder--> Allocation      (from a peer: no hash)
//! ```
//!
//! A deadline is lazy: a Refresh does not touch it; when it is popped, the
//! relay is asked for its true expiry and armed again or closed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use crate::action::{EndReason, Outbox, Report};
use crate::allocation::{Allocation, Holder, Relay, Relays, Reservation};
use crate::arena::Arena;
use crate::counters::Counters;
use crate::id::{AllocationId, AllocationKey, RelayId, ShardId};
use crate::link::{FiveTuple, LinkId};
use crate::port_map::Parity;
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
    deadlines: BinaryHeap<Reverse<(Instant, RelayId)>>,
    serial: u64,
}

/// A reserved relay that leaves for another shard. Its port stays held.
#[derive(Debug)]
pub(crate) struct Detached {
    address: usize,
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
        Self {
            shard,
            shared,
            counters,
            allocations: Arena::new(),
            relays: Arena::new(),
            index: HashTable::new(),
            hash: FixedState::with_seed(seed),
            deadlines: BinaryHeap::new(),
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
        address: usize,
        parity: Parity,
        random: u32,
        now: Instant,
    ) -> Option<RelayId> {
        let port = self.shared.ports(address)?.claim(random, parity, self.shared.second(now))?;
        let relay = self.insert_relay(settings, address, port, now);
        if relay.is_none() {
            self.release_port(address, port, now);
        }
        relay
    }

    /// The slot of a port that has been claimed already.
    pub(crate) fn insert_relay(
        &mut self,
        settings: &RelaySettings,
        address: usize,
        port: u16,
        now: Instant,
    ) -> Option<RelayId> {
        let place = settings.addresses.get(address)?;
        let relay = Relay {
            holder: Holder::Opening,
            address,
            bound: SocketAddr::new(place.bound, port),
            advertised: SocketAddr::new(place.advertised, port),
            expires_at: now,
            armed: None,
        };
        self.relays.insert(relay).ok()
    }

    pub(crate) fn release_port(&self, address: usize, port: u16, now: Instant) {
        if let Some(ports) = self.shared.ports(address) {
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
        let tuple = allocation.link.tuple;
        let relays = allocation.relays;
        let key = self.allocations.insert(allocation).ok()?;
        let hash = hash_of(&self.hash, &tuple);
        let Self { index, allocations, hash: state, .. } = self;
        index.insert_unique(hash, key, |key| {
            allocations.get(*key).map_or(0, |allocation| hash_of(state, &allocation.link.tuple))
        });
        for id in relays.iter() {
            let Some(relay) = self.relays.get_mut(id) else { continue };
            relay.holder = Holder::Allocation(key);
            relay.expires_at = expires_at;
            let (address, port) = (relay.address, relay.bound.port());
            arm(&mut self.deadlines, id, relay);
            if let Some(ports) = self.shared.ports(address) {
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
            arm(&mut self.deadlines, id, relay);
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
            address: relay.address,
            bound: relay.bound,
            advertised: relay.advertised,
            expires_at: relay.expires_at,
            reservation,
        })
    }

    /// Takes a relay of another shard in; `None`, and its port is free, when all
    /// slots are in use.
    pub(crate) fn adopt(&mut self, detached: Detached, now: Instant) -> Option<RelayId> {
        let Detached { address, bound, advertised, expires_at, reservation } = detached;
        let holder = Holder::Reservation(reservation);
        let relay = Relay { holder, address, bound, advertised, expires_at, armed: None };
        match self.relays.insert(relay) {
            Ok(id) => {
                if let Some(relay) = self.relays.get_mut(id) {
                    arm(&mut self.deadlines, id, relay);
                }
                Some(id)
            }
            Err(relay) => {
                self.release_port(relay.address, relay.bound.port(), now);
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
            self.release_port(relay.address, relay.bound.port(), now);
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
        self.release_port(relay.address, relay.bound.port(), now);
        outbox.close_relay(id);
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

    /// Ends every allocation of a link that closed.
    pub(crate) fn end_link(&mut self, link: LinkId, now: Instant, outbox: &mut Outbox) {
        let ended: Vec<_> = self
            .allocations
            .iter()
            .filter(|(_, allocation)| {
                allocation.link.id == link && allocation.link.tuple.transport.is_stream()
            })
            .map(|(key, _)| key)
            .collect();
        for key in ended {
            self.end(key, now, EndReason::LinkClosed, outbox);
        }
    }

    /// Closes what has expired.
    pub(crate) fn expire(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(&Reverse((due, id))) = self.deadlines.peek() {
            if due > now {
                break;
            }
            self.deadlines.pop();
            let Some(relay) = self.relays.get_mut(id).filter(|relay| relay.armed == Some(due))
            else {
                continue;
            };
            relay.armed = None;
            match &relay.holder {
                // Whoever opens it closes it.
                Holder::Opening => {}
                Holder::Allocation(_) | Holder::Reservation(_) if relay.expires_at > now => {
                    arm(&mut self.deadlines, id, relay);
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
        arm(&mut self.deadlines, id, relay);
    }

    /// Applies a changed peer policy to what lives `[P7]`.
    pub(crate) fn revoke(
        &mut self,
        is_permitted: impl Fn(IpAddr) -> bool,
        is_peer: impl Fn(SocketAddr) -> bool,
    ) {
        for allocation in self.allocations.iter_mut() {
            allocation.permissions.retain(&is_permitted);
            allocation.channels.retain(&is_peer);
        }
    }

    /// The allocation of a 5-tuple that has not expired.
    pub(crate) fn find(&self, tuple: &FiveTuple, now: Instant) -> Option<AllocationKey> {
        let hash = hash_of(&self.hash, tuple);
        let key = *self.index.find(hash, |key| {
            self.allocations.get(*key).is_some_and(|allocation| allocation.link.tuple == *tuple)
        })?;
        self.is_live(key, now).then_some(key)
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

    pub(crate) fn relay(&self, id: RelayId) -> Option<&Relay> {
        self.relays.get(id)
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

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((due, _))| *due)
    }

    pub(crate) fn len(&self) -> usize {
        self.allocations.len()
    }

    pub(crate) fn relays_len(&self) -> usize {
        self.relays.len()
    }

    fn remove(&mut self, key: AllocationKey, now: Instant, reason: EndReason, outbox: &mut Outbox) {
        let Some(allocation) = self.allocations.get(key) else { return };
        let hash = hash_of(&self.hash, &allocation.link.tuple);
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == key) {
            entry.remove();
        }
        let Some(allocation) = self.allocations.remove(key) else { return };
        self.counters.allocations_ended.add(1);
        outbox.report(Report::Ended {
            id: allocation.id,
            user: allocation.owner.name,
            reason,
            traffic: allocation.traffic,
            age: now.saturating_duration_since(allocation.born),
        });
    }
}

/// Sets a deadline at the relay's expiry, unless an earlier one is set already:
/// that one is armed again when it is popped, so the heap holds one live entry a
/// relay however often it is refreshed.
fn arm(deadlines: &mut BinaryHeap<Reverse<(Instant, RelayId)>>, id: RelayId, relay: &mut Relay) {
    if relay.armed.is_none_or(|armed| relay.expires_at < armed) {
        relay.armed = Some(relay.expires_at);
        deadlines.push(Reverse((relay.expires_at, id)));
    }
}

fn hash_of(state: &FixedState, tuple: &FiveTuple) -> u64 {
    let mut hasher = state.build_hasher();
    let mut write = |address: &SocketAddr| match address {
        SocketAddr::V4(v4) => {
            hasher.write_u64(u64::from(v4.ip().to_bits()) << 16 | u64::from(v4.port()))
        }
        SocketAddr::V6(v6) => {
            hasher.write_u128(v6.ip().to_bits());
            hasher.write_u16(v6.port());
        }
    };
    write(&tuple.client);
    write(&tuple.server);
    hasher.write_u8(tuple.transport as u8);
    hasher.finish()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn relay_that_is_refreshed_for_ever_has_one_deadline() {
        let start = Instant::now();
        let address = SocketAddr::from(([198, 51, 100, 7], 50_000));
        let mut relay = Relay {
            holder: Holder::Opening,
            address: 0,
            bound: address,
            advertised: address,
            expires_at: start,
            armed: None,
        };
        let mut deadlines = BinaryHeap::new();
        let id = RelayId::from_bits(0);
        for second in 0..10_000 {
            // Longer and shorter in turn, as a hostile client would.
            let lifetime = if second % 2 == 0 { 3_600 } else { 600 };
            relay.expires_at = start + Duration::from_secs(second + lifetime);
            arm(&mut deadlines, id, &mut relay);
        }
        assert!(deadlines.len() <= 2, "{} deadlines", deadlines.len());
        // An end that comes sooner needs one of its own.
        relay.expires_at = start + Duration::from_secs(1);
        arm(&mut deadlines, id, &mut relay);
        assert_eq!(deadlines.peek(), Some(&Reverse((relay.expires_at, id))));
    }
}
