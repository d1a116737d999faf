//! Who holds how many allocations: exact counts, shared by all shards.
//!
//! Touched when an allocation is made and when it ends, never by a packet.
//! Every key here has authenticated itself, so the maps are bounded by the
//! allocations that live.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::allocation::Account;
use crate::id::{RealmId, TenantId};

/// The counts of the process.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    realms: HashMap<RealmId, u32>,
    tenants: HashMap<(RealmId, TenantId), u32>,
    users: HashMap<u64, u32>,
    sources: HashMap<u64, u32>,
}

/// How many allocations each may hold; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Quota {
    pub(crate) all: Option<u32>,
    pub(crate) realm: Option<u32>,
    pub(crate) tenant: Option<u32>,
    pub(crate) user: Option<u32>,
    pub(crate) source: Option<u32>,
}

/// Which of the counts was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaReached {
    All,
    Realm,
    Tenant,
    User,
    Source,
}

/// One unit of each count, given back exactly once: when it is dropped `[T13]`.
#[derive(Debug)]
pub(crate) struct Permit {
    ledger: Arc<Ledger>,
    user: u64,
    source: u64,
    realm: RealmId,
    tenant: Option<TenantId>,
}

impl Ledger {
    pub(crate) fn admit(
        self: &Arc<Self>,
        account: &Account,
        source: u64,
        quota: Quota,
    ) -> Result<Permit, QuotaReached> {
        let Account { hash: user, realm, tenant, .. } = *account;
        let of_tenant = tenant.map(|tenant| (realm, tenant));
        let mut counts = self.counts();
        let full = |count: u32, most: Option<u32>| most.is_some_and(|most| count >= most);
        // [H18, H27]
        if full(count(&counts.users, &user), quota.user) {
            return Err(QuotaReached::User);
        }
        if full(count(&counts.sources, &source), quota.source) {
            return Err(QuotaReached::Source);
        }
        if of_tenant.is_some_and(|tenant| full(count(&counts.tenants, &tenant), quota.tenant)) {
            return Err(QuotaReached::Tenant);
        }
        if full(count(&counts.realms, &realm), quota.realm) {
            return Err(QuotaReached::Realm);
        }
        if full(counts.all, quota.all) {
            return Err(QuotaReached::All);
        }
        counts.all += 1;
        *counts.users.entry(user).or_default() += 1;
        *counts.sources.entry(source).or_default() += 1;
        *counts.realms.entry(realm).or_default() += 1;
        if let Some(tenant) = of_tenant {
            *counts.tenants.entry(tenant).or_default() += 1;
        }
        Ok(Permit { ledger: Arc::clone(self), user, source, realm, tenant })
    }

    pub(crate) fn all(&self) -> u32 {
        self.counts().all
    }

    pub(crate) fn of_realm(&self, realm: RealmId) -> u32 {
        count(&self.counts().realms, &realm)
    }

    pub(crate) fn of_tenant(&self, realm: RealmId, tenant: TenantId) -> u32 {
        count(&self.counts().tenants, &(realm, tenant))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.ledger.counts();
        // [T13]
        counts.all = counts.all.saturating_sub(1);
        give_back(&mut counts.users, &self.user);
        give_back(&mut counts.sources, &self.source);
        give_back(&mut counts.realms, &self.realm);
        if let Some(tenant) = self.tenant {
            give_back(&mut counts.tenants, &(self.realm, tenant));
        }
    }
}

fn count<K: Eq + Hash>(counts: &HashMap<K, u32>, key: &K) -> u32 {
    counts.get(key).copied().unwrap_or(0)
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota =
        Quota { all: Some(3), realm: None, tenant: None, user: Some(2), source: None };

    fn user(hash: u64) -> Account {
        of(0, None, hash)
    }

    fn of(realm: u16, tenant: Option<u16>, hash: u64) -> Account {
        let (realm, tenant) = (RealmId(realm), tenant.map(TenantId));
        Account { hash, realm, tenant, is_time_limited: false }
    }

    #[test]
    fn t13_units_come_back_when_the_permit_ends_and_only_then() {
        let ledger = Arc::new(Ledger::default());
        let first = ledger.admit(&user(1), 9, QUOTA).expect("nothing is used");
        let _second = ledger.admit(&user(1), 9, QUOTA).expect("one is used");
        assert_eq!(ledger.admit(&user(1), 9, QUOTA).err(), Some(QuotaReached::User));
        let _other = ledger.admit(&user(2), 9, QUOTA).expect("another user");
        assert_eq!(ledger.admit(&user(2), 9, QUOTA).err(), Some(QuotaReached::All));
        drop(first);
        assert!(ledger.admit(&user(1), 9, QUOTA).is_ok());
        assert_eq!(ledger.all(), 2);
    }

    #[test]
    fn t13_realms_and_tenants_have_exact_counts_of_their_own() {
        let ledger = Arc::new(Ledger::default());
        let quota = Quota { realm: Some(2), tenant: Some(1), ..Quota::default() };
        let held = ledger.admit(&of(1, Some(0), 1), 9, quota).expect("nothing is used");
        let refused = ledger.admit(&of(1, Some(0), 2), 9, quota).err();
        assert_eq!(refused, Some(QuotaReached::Tenant));
        let _other = ledger.admit(&of(1, Some(1), 2), 9, quota).expect("another tenant");
        assert_eq!(ledger.admit(&of(1, None, 3), 9, quota).err(), Some(QuotaReached::Realm));
        // The same number in another realm is another tenant.
        let _elsewhere = ledger.admit(&of(2, Some(0), 1), 9, quota).expect("another realm");
        drop(held);
        let counts = (ledger.of_realm(RealmId(1)), ledger.of_tenant(RealmId(1), TenantId(0)));
        assert_eq!(counts, (1, 0));
        assert!(ledger.admit(&of(1, Some(0), 2), 9, quota).is_ok());
        assert_eq!(ledger.all(), 2);
    }

    #[test]
    fn h18_each_source_has_its_own_count() {
        let ledger = Arc::new(Ledger::default());
        let quota = Quota { source: Some(1), ..Quota::default() };
        let _held = ledger.admit(&user(1), 1, quota).expect("nothing is used");
        assert_eq!(ledger.admit(&user(1), 1, quota).err(), Some(QuotaReached::Source));
        assert!(ledger.admit(&user(1), 2, quota).is_ok());
    }
}
