//! What became of allocations, by realm and tenant and by the reason of their end: for metrics.
//!
//! Touched when an allocation is made and when it ends, never for a packet; what the live ones
//! relay is asked of the shards.

use std::collections::BTreeMap;

use turn_engine::{EndReason, RealmId, TenantId, Traffic};

/// A realm, and a tenant of it if the allocation has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Number of the realm.
    pub realm: u16,
    /// Number of the tenant.
    pub tenant: Option<u16>,
}

/// Everything since the start.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Of each realm and tenant that had an allocation.
    pub accounts: BTreeMap<Account, AccountTally>,
    /// Allocations that have ended, by reason and by whether they had relayed anything.
    pub ended: BTreeMap<(&'static str, bool), u64>,
}

/// What one realm or tenant had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountTally {
    /// Allocations made.
    pub created: u64,
    /// Datagrams from clients to peers, of allocations that have ended.
    pub up_packets: u64,
    /// Payload bytes of them.
    pub up_bytes: u64,
    /// Datagrams from peers to clients.
    pub down_packets: u64,
    /// Payload bytes of them.
    pub down_bytes: u64,
}

impl Account {
    /// From the engine's numbers.
    pub fn new(realm: RealmId, tenant: Option<TenantId>) -> Self {
        Self { realm: realm.0, tenant: tenant.map(|tenant| tenant.0) }
    }
}

impl AccountTally {
    /// Adds what one allocation relayed.
    pub fn add(&mut self, traffic: &Traffic) {
        self.up_packets += traffic.up_packets;
        self.up_bytes += traffic.up_bytes;
        self.down_packets += traffic.down_packets;
        self.down_bytes += traffic.down_bytes;
    }

    /// Adds another one.
    pub fn merge(&mut self, other: Self) {
        self.created += other.created;
        self.up_packets += other.up_packets;
        self.up_bytes += other.up_bytes;
        self.down_packets += other.down_packets;
        self.down_bytes += other.down_bytes;
    }

    /// Is nowhere less than another one.
    pub fn at_least(&mut self, other: &Self) {
        self.created = self.created.max(other.created);
        self.up_packets = self.up_packets.max(other.up_packets);
        self.up_bytes = self.up_bytes.max(other.up_bytes);
        self.down_packets = self.down_packets.max(other.down_packets);
        self.down_bytes = self.down_bytes.max(other.down_bytes);
    }
}

impl Tally {
    pub(super) fn created(&mut self, account: Account) {
        self.accounts.entry(account).or_default().created += 1;
    }

    pub(super) fn ended(&mut self, account: Account, reason: EndReason, traffic: &Traffic) {
        self.accounts.entry(account).or_default().add(traffic);
        *self.ended.entry((reason.as_str(), is_used(traffic))).or_default() += 1;
    }
}

/// Whether an allocation has relayed anything at all.
pub fn is_used(traffic: &Traffic) -> bool {
    traffic.up_packets > 0
        || traffic.down_packets > 0
        || traffic.up_bytes > 0
        || traffic.down_bytes > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_leave_their_traffic_to_their_account() {
        let mut tally = Tally::default();
        let account = Account::new(RealmId(1), Some(TenantId(2)));
        let traffic = Traffic { up_packets: 1, up_bytes: 100, ..Traffic::default() };
        for _ in 0..2 {
            tally.created(account);
            tally.ended(account, EndReason::Expired, &traffic);
        }
        tally.ended(account, EndReason::Expired, &Traffic::default());
        let expected =
            AccountTally { created: 2, up_packets: 2, up_bytes: 200, ..AccountTally::default() };
        assert_eq!(tally.accounts.get(&account), Some(&expected));
        assert_eq!(tally.ended.get(&("expired", true)), Some(&2));
        assert_eq!(tally.ended.get(&("expired", false)), Some(&1));
    }
}
