//! The engine's calls for an operator: new settings, the table of what lives, the end of one
//! allocation.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::allocation::{Allocation, RelayProtocol, Traffic};
use crate::engine::Engine;
use crate::found_user::{KeyAnswer, Marks};
use crate::id::{AllocationId, AllocationKey, RealmId, TenantId};
use crate::link::Link;
use crate::meter::Meter;
use crate::methods::connect;
use crate::peer_connections::{Opener, PeerConnection};
use crate::report::EndReason;
use crate::settings::Settings;
use crate::time::Now;

/// One live allocation, as an operator sees it.
#[derive(Debug, Clone, Copy)]
pub struct AllocationView<'a> {
    /// Its name.
    pub id: AllocationId,
    /// The realm of its user.
    pub realm: RealmId,
    /// The tenant of its user.
    pub tenant: Option<TenantId>,
    /// The user name it was made with.
    pub user: &'a str,
    /// What its credential store says of that user.
    pub marks: Option<&'a Arc<Marks>>,
    /// Its 5-tuple.
    pub link: &'a Link,
    /// The relayed transport addresses that it was given, as advertised.
    pub relayed: [Option<SocketAddr>; 2],
    /// The protocol between server and peers.
    pub protocol: RelayProtocol,
    /// How long it has lived.
    pub age: Duration,
    /// How long it lives from now on without a Refresh.
    pub expires_in: Duration,
    /// Live permissions.
    pub permissions: usize,
    /// Live channels.
    pub channels: usize,
    /// Addresses of its peers: those it sent to, then those it permitted; at most
    /// [`Report::MOST_PEERS`](crate::Report::MOST_PEERS).
    pub peers: &'a [IpAddr],
    /// What went through it.
    pub traffic: Traffic,
}

impl Engine {
    /// Takes over new settings: what they deny ends at once `[P7]`, allocations of a removed realm
    /// end, and their limits bind what lives. Drain [`poll_action`](Engine::poll_action). Where relay
    /// sockets are bound must be the same, which needs a restart; what they are advertised as may
    /// be another: what lives keeps what it was told, and a peer may go on to name it where
    /// [`RelaySettings::follow`](crate::RelaySettings::follow) has remembered it.
    pub fn apply(&mut self, now: Now, settings: Arc<Settings>) {
        self.settings = settings;
        let Self { settings, shared, table, outbox, .. } = self;
        let is_over = |allocation: &Allocation| settings.realm(allocation.link.realm).is_removed;
        table.end_where(is_over, now.mono, EndReason::RealmRemoved, outbox);
        let relays = &settings.relay.addresses;
        let is_permitted =
            |realm: RealmId, peer| settings.realm(realm).peers.judge_address(relays, peer).is_ok();
        let is_connected = |realm, connection: &PeerConnection| match connection.opener {
            Opener::Client => connect::target(settings, shared, realm, connection.peer).is_ok(),
            // It came from whichever port it liked.
            Opener::Peer => is_permitted(realm, connection.peer.ip()),
        };
        // [P7]
        table.revoke(
            is_permitted,
            |realm, peer| settings.realm(realm).peers.judge(relays, peer).ok(),
            is_connected,
            outbox,
        );
        table.meter(|owner| Meter::is_needed(settings, owner));
    }

    /// Ends an allocation because an operator wants it; whether it was there. Drain
    /// [`poll_action`](Engine::poll_action).
    pub fn end_allocation(&mut self, now: Now, id: AllocationId) -> bool {
        let Some(key) = self.table.of_id(id, now.mono) else { return false };
        self.table.end(key, now.mono, EndReason::Killed, &mut self.outbox);
        true
    }

    /// Ends the allocations of a user because its credential was disabled, those included that are
    /// being made; how many there were. Drain [`poll_action`](Engine::poll_action).
    pub fn end_allocations_of(&mut self, now: Now, realm: RealmId, user: &str) -> usize {
        self.end_allocations_within(now, realm, user, (0, usize::MAX)).0
    }

    /// As [`end_allocations_of`](Self::end_allocations_of), for the allocations in `most` places
    /// from `cursor` on: how many there were, and where to go on, as in
    /// [`survey`](Self::survey).
    pub fn end_allocations_within(
        &mut self,
        now: Now,
        realm: RealmId,
        user: &str,
        (cursor, most): (usize, usize),
    ) -> (usize, Option<usize>) {
        // Names are kept as they were given, and belong together as they are prepared.
        let prepared = turn_credentials::prepare(user);
        let user = prepared.as_deref().unwrap_or(user);
        let mut ended = 0;
        if cursor == 0 {
            for ticket in self.waiting.of_user(realm, user) {
                self.key_found(now, ticket, KeyAnswer::Unknown);
            }
            ended += self.refuse_openings_of(now, realm, user);
        }
        let account = self.gate.account_of(realm, user);
        let Self { table, outbox, .. } = self;
        let (allocations, next) = table.slots(cursor, most);
        let over = allocations.filter(|(_, it)| it.owner.is_user(&account, user));
        let over: Vec<AllocationKey> = over.map(|(key, _)| key).collect();
        for key in over {
            table.end(key, now.mono, EndReason::Disabled, outbox);
            ended += 1;
        }
        (ended, next)
    }

    /// Ends all allocations because the server stops, so that each has its report, and lets no new
    /// one begin. Drain [`poll_action`](Engine::poll_action).
    pub fn stop(&mut self, now: Now) {
        self.shared.set_draining(true);
        self.waiting.clear();
        self.table.end_where(|_| true, now.mono, EndReason::Stopped, &mut self.outbox);
    }

    /// Visits live allocations: those in the next `most` places from `cursor` on, which is 0 at
    /// first and then what the last call gave, until that is `None`. Between two calls allocations
    /// may come and go: none is visited twice, and one that is new may be missed.
    pub fn survey(
        &self,
        now: Now,
        cursor: usize,
        most: usize,
        visit: &mut dyn FnMut(&AllocationView<'_>),
    ) -> Option<usize> {
        let (allocations, next) = self.table.slots(cursor, most);
        for (_, allocation) in allocations {
            let expires_in = self.expires_in(now, allocation);
            // Expired, but not swept yet.
            if expires_in.is_zero() {
                continue;
            }
            let account = &allocation.owner.account;
            visit(&AllocationView {
                id: allocation.id,
                realm: account.realm,
                tenant: account.tenant,
                user: &allocation.owner.name,
                marks: allocation.owner.marks.as_ref(),
                link: &allocation.link,
                relayed: allocation.relayed,
                protocol: allocation.protocol,
                age: now.mono.saturating_duration_since(allocation.born),
                expires_in,
                permissions: allocation.permissions.live(now.mono),
                channels: allocation.channels.count(now.mono),
                peers: &allocation.peers(),
                traffic: allocation.traffic,
            });
        }
        next
    }

    /// Live allocations of this shard.
    pub fn allocations(&self) -> usize {
        self.table.len()
    }

    /// Relayed transport addresses of this shard, reserved ones included.
    pub fn relays(&self) -> usize {
        self.table.relays_len()
    }

    fn expires_in(&self, now: Now, allocation: &Allocation) -> Duration {
        let relays = allocation.relays.iter().filter_map(|id| self.table.relay(id));
        let left = relays.map(|relay| relay.expires_at.saturating_duration_since(now.mono));
        left.max().unwrap_or_default()
    }
}
