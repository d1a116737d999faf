//! The limits by name: which one refused, and whose it is.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::id::{RealmId, TenantId};

/// Whose a limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Process,
    Realm(RealmId),
    Tenant(RealmId, TenantId),
}

/// A limit: its key as the configuration has it, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LimitName {
    pub(crate) key: &'static str,
    pub(crate) scope: Scope,
}

/// The limits that have refused since the start.
#[derive(Debug, Default)]
pub(crate) struct LimitsMet {
    /// One bit for each key of the process, which strangers can meet at line rate.
    of_process: AtomicU32,
    others: Mutex<HashSet<LimitName>>,
}

/// Every key that can refuse: those of the process first, then those of a realm, then those of a
/// tenant, then those that a credential store has for one user.
pub(crate) const KEYS: [&str; 25] = [
    "allocations",
    "allocations_per_source",
    "binding_replies",
    "challenges",
    "bandwidth",
    "connections_per_source",
    "unauthenticated_connections",
    "accepts",
    "allocations_per_user",
    "permissions_per_allocation",
    "channels_per_allocation",
    "peers_per_allocation",
    "new_peers",
    "peer_connections_per_allocation",
    "bandwidth_per_allocation",
    "bandwidth_per_user",
    "bandwidth_per_realm",
    "auth.secrets.limits.allocations",
    "auth.secrets.limits.allocations_per_user",
    "auth.secrets.limits.bandwidth",
    "auth.secrets.limits.bandwidth_per_allocation",
    "auth.secrets.limits.bandwidth_per_user",
    "auth.stores.limits.allocations",
    "auth.stores.limits.bandwidth",
    "auth.stores.limits.bandwidth_per_allocation",
];

impl LimitName {
    pub(crate) const fn of_process(key: &'static str) -> Self {
        Self { key, scope: Scope::Process }
    }

    pub(crate) const fn of_realm(realm: RealmId, key: &'static str) -> Self {
        Self { key, scope: Scope::Realm(realm) }
    }

    pub(crate) const fn of_tenant(realm: RealmId, tenant: TenantId, key: &'static str) -> Self {
        Self { key, scope: Scope::Tenant(realm, tenant) }
    }
}

impl Scope {
    pub(crate) const fn realm(self) -> Option<RealmId> {
        match self {
            Self::Process => None,
            Self::Realm(realm) | Self::Tenant(realm, _) => Some(realm),
        }
    }

    pub(crate) const fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Process | Self::Realm(_) => None,
            Self::Tenant(_, tenant) => Some(tenant),
        }
    }
}

impl LimitsMet {
    /// Whether this is the first time that this limit refuses.
    pub(crate) fn meets(&self, limit: LimitName) -> bool {
        match limit.scope {
            Scope::Process => self.meets_key(limit.key),
            Scope::Realm(_) | Scope::Tenant(..) => {
                self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(limit)
            }
        }
    }

    fn meets_key(&self, key: &str) -> bool {
        let Some(at) = place(key) else { return false };
        let bit = 1 << at;
        self.of_process.load(Ordering::Relaxed) & bit == 0
            && self.of_process.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

/// The place of a key among [`KEYS`].
pub(crate) fn place(key: &str) -> Option<usize> {
    KEYS.iter().position(|known| *known == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_met_once_by_each_realm_and_tenant() {
        let met = LimitsMet::default();
        let names = [
            LimitName::of_process("allocations"),
            LimitName::of_realm(RealmId(0), "allocations"),
            LimitName::of_realm(RealmId(1), "allocations"),
            LimitName::of_tenant(RealmId(1), TenantId(0), "auth.secrets.limits.allocations"),
            LimitName::of_tenant(RealmId(1), TenantId(1), "auth.secrets.limits.allocations"),
        ];
        assert!(names.into_iter().all(|name| met.meets(name)));
        assert!(!names.into_iter().any(|name| met.meets(name)));
    }
}
