//! Who holds how many allocations: exact counts, shared by all shards.
//!
//! Touched when an allocation is made and when it ends, never by a packet.
//! Every key here has authenticated itself, so the maps are bounded by the
//! allocations that live.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The counts of the process.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    users: HashMap<u64, u32>,
    sources: HashMap<u64, u32>,
}

/// How many allocations each may hold; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) all: Option<u32>,
    pub(crate) user: Option<u32>,
    pub(crate) source: Option<u32>,
}

/// Which of the counts was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaReached {
    All,
    User,
    Source,
}

/// One unit of each count, given back exactly once: when it is dropped `[T13]`.
#[derive(Debug)]
pub(crate) struct Permit {
    ledger: Arc<Ledger>,
    user: u64,
    source: u64,
}

impl Ledger {
    pub(crate) fn admit(
        self: &Arc<Self>,
        user: u64,
        source: u64,
        quota: Quota,
    ) -> Result<Permit, QuotaReached> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |count: u32, most: Option<u32>| most.is_some_and(|most| count >= most);
        // [H18]
        if full(counts.users.get(&user).copied().unwrap_or(0), quota.user) {
            return Err(QuotaReached::User);
        }
        if full(counts.sources.get(&source).copied().unwrap_or(0), quota.source) {
            return Err(QuotaReached::Source);
        }
        if full(counts.all, quota.all) {
            return Err(QuotaReached::All);
        }
        counts.all += 1;
        *counts.users.entry(user).or_default() += 1;
        *counts.sources.entry(source).or_default() += 1;
        Ok(Permit { ledger: Arc::clone(self), user, source })
    }

    pub(crate) fn all(&self) -> u32 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.ledger.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // [T13]
        counts.all = counts.all.saturating_sub(1);
        give_back(&mut counts.users, self.user);
        give_back(&mut counts.sources, self.source);
    }
}

fn give_back(counts: &mut HashMap<u64, u32>, key: u64) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { all: Some(3), user: Some(2), source: None };

    #[test]
    fn t13_units_come_back_when_the_permit_ends_and_only_then() {
        let ledger = Arc::new(Ledger::default());
        let first = ledger.admit(1, 9, QUOTA).expect("nothing is used");
        let _second = ledger.admit(1, 9, QUOTA).expect("one is used");
        assert_eq!(ledger.admit(1, 9, QUOTA).err(), Some(QuotaReached::User));
        let _other = ledger.admit(2, 9, QUOTA).expect("another user");
        assert_eq!(ledger.admit(2, 9, QUOTA).err(), Some(QuotaReached::All));
        drop(first);
        assert!(ledger.admit(1, 9, QUOTA).is_ok());
        assert_eq!(ledger.all(), 2);
    }

    #[test]
    fn h18_each_source_has_its_own_count() {
        let ledger = Arc::new(Ledger::default());
        let quota = Quota { all: None, user: None, source: Some(1) };
        let _held = ledger.admit(1, 1, quota).expect("nothing is used");
        assert_eq!(ledger.admit(1, 1, quota).err(), Some(QuotaReached::Source));
        assert!(ledger.admit(1, 2, quota).is_ok());
    }
}
