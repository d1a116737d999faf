//! What an operator does to the allocations of a shard: new settings, looking, ending.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::action::Outbox;
use crate::allocation::{Allocation, Holder, Owner};
use crate::id::{AllocationId, AllocationKey, RealmId};
use crate::meter::Meter;
use crate::peer_connections::PeerConnection;
use crate::peer_policy::Target;
use crate::reject::Reject;
use crate::report::EndReason;
use crate::table::Allocations;

impl Allocations {
    /// Ends allocations.
    pub(crate) fn end_where(
        &mut self,
        is_over: impl Fn(&Allocation) -> bool,
        now: Instant,
        reason: EndReason,
        outbox: &mut Outbox,
    ) {
        let over = self.allocations.iter().filter(|(_, allocation)| is_over(allocation));
        let over: Vec<AllocationKey> = over.map(|(key, _)| key).collect();
        for key in over {
            self.end(key, now, reason, outbox);
        }
    }

    /// Applies changed peer policies to what lives `[P7]`.
    pub(crate) fn revoke(
        &mut self,
        is_permitted: impl Fn(RealmId, IpAddr) -> bool,
        target: impl Fn(RealmId, SocketAddr) -> Option<Target>,
        is_connected: impl Fn(RealmId, &PeerConnection) -> bool,
        outbox: &mut Outbox,
    ) {
        for allocation in self.allocations.iter_mut() {
            let realm = allocation.link.realm;
            allocation.permissions.retain(|peer| is_permitted(realm, peer));
            allocation.channels.judge(|peer| target(realm, peer));
        }
        let Self { allocations, relays, peer_connections, .. } = self;
        let realm_of = |connection: &PeerConnection| match relays.get(connection.relay)?.holder {
            Holder::Allocation(key) => Some(allocations.get(key)?.link.realm),
            Holder::Opening | Holder::Reservation(_) => None,
        };
        let is_denied = |connection: &PeerConnection| {
            realm_of(connection).is_none_or(|realm| !is_connected(realm, connection))
        };
        // [P7]
        for (id, connection) in peer_connections.remove_denied(is_denied) {
            let denied = Reject::PeerDenied(connection.peer.ip());
            self.give_up(id, &connection, &denied, outbox);
        }
    }

    /// Gives each allocation a meter, or takes it away: a limit that is switched on binds what
    /// lives, and one that is switched off frees it.
    pub(crate) fn meter(&mut self, is_needed: impl Fn(&Owner) -> bool) {
        for allocation in self.allocations.iter_mut() {
            if is_needed(&allocation.owner) {
                allocation.meter.get_or_insert_with(Box::<Meter>::default);
            } else {
                allocation.meter = None;
            }
        }
    }

    /// The allocation of this name that has not expired: a walk, for an operator's call.
    pub(crate) fn of_id(&self, id: AllocationId, now: Instant) -> Option<AllocationKey> {
        let mut allocations = self.allocations.iter();
        let (key, _) = allocations.find(|(_, allocation)| allocation.id == id)?;
        self.is_live(key, now).then_some(key)
    }

    /// The allocations in `most` slots from `first` on, and where to go on, if there is more.
    pub(crate) fn slots(
        &self,
        first: usize,
        most: usize,
    ) -> (impl Iterator<Item = (AllocationKey, &Allocation)>, Option<usize>) {
        self.allocations.slots(first, most)
    }
}
