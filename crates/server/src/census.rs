//! A look at every live allocation, shard by shard and some at a time, so that no packet waits long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use turn_engine::AllocationView;
use turn_net::Fleet;

use crate::clock;
use crate::logging::{Account, AccountTally, is_used, transport};

/// Places of a shard's table that are looked at between two packets.
const STEP: usize = 1_024;

/// Visits of a census end after so many steps, whatever a table may say.
const MOST_STEPS: usize = 4_096;

/// What the live allocations amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// What they have relayed, by realm and tenant.
    pub traffic: BTreeMap<Account, AccountTally>,
    /// How many there are, by realm, tenant and transport of the client: those that have relayed
    /// nothing yet, and those that have.
    pub live: BTreeMap<(Account, &'static str), (u64, u64)>,
}

impl Census {
    /// Counts every live allocation of `fleet`.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn take(fleet: &Fleet) -> std::io::Result<Self> {
        let mut census = Self::default();
        visit(
            fleet,
            Self::default,
            |census: &mut Self, view| census.add(view),
            |part| {
                census.merge(part);
            },
        )
        .await?;
        Ok(census)
    }

    /// Live allocations, and how many of them have relayed something.
    pub fn live(&self) -> (u64, u64) {
        self.live
            .values()
            .fold((0, 0), |(live, busy), (gathered, used)| (live + gathered + used, busy + used))
    }

    fn add(&mut self, view: &AllocationView<'_>) {
        let account = Account::new(view.realm, view.tenant);
        self.traffic.entry(account).or_default().add(&view.traffic);
        let live = self.live.entry((account, transport(view.link.tuple.transport))).or_default();
        if is_used(&view.traffic) {
            live.1 += 1;
        } else {
            live.0 += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        for (account, traffic) in other.traffic {
            self.traffic.entry(account).or_default().merge(traffic);
        }
        for (key, (gathered, used)) in other.live {
            let live = self.live.entry(key).or_default();
            live.0 += gathered;
            live.1 += used;
        }
    }
}

/// Shows every live allocation to `add`, on its shard's thread, and gives what came of each step to
/// `take`.
///
/// # Errors
/// A shard has ended.
pub async fn visit<T: Send + 'static>(
    fleet: &Fleet,
    new: impl Fn() -> T + Send + Sync + Clone + 'static,
    add: impl Fn(&mut T, &AllocationView<'_>) + Send + Sync + Clone + 'static,
    mut take: impl FnMut(T),
) -> std::io::Result<()> {
    let mut cursor = 0;
    // The tables of all shards are walked side by side; one that has ended gives nothing more.
    for _ in 0..MOST_STEPS {
        let (new, add) = (new.clone(), add.clone());
        let seen = fleet
            .inspect(move |engine| {
                let mut part = new();
                let next =
                    engine.survey(clock::now(), cursor, STEP, &mut |view| add(&mut part, view));
                (part, next)
            })
            .await?;
        let mut next = None;
        for (part, reached) in seen {
            take(part);
            next = next.max(reached);
        }
        match next {
            Some(reached) => cursor = reached,
            None => break,
        }
    }
    Ok(())
}

/// Traffic by realm and tenant that never falls, though allocations end while it is counted.
#[derive(Debug, Default)]
pub struct Monotone(Mutex<Arc<BTreeMap<Account, AccountTally>>>);

impl Monotone {
    /// What `ended` and then `live` amount to, but never less than the last time: an allocation that
    /// ends between the two looks is missed once.
    pub fn sum(
        &self,
        ended: &BTreeMap<Account, AccountTally>,
        live: &BTreeMap<Account, AccountTally>,
    ) -> Arc<BTreeMap<Account, AccountTally>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = ended.clone();
        for (account, traffic) in live {
            sums.entry(*account).or_default().merge(*traffic);
        }
        for (account, before) in last.iter() {
            sums.entry(*account).or_default().at_least(before);
        }
        *last = Arc::new(sums);
        Arc::clone(&last)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_sum_never_falls_though_an_allocation_is_missed_while_it_ends() {
        let account = Account { realm: 0, tenant: None };
        let of = |up_bytes| {
            BTreeMap::from([(account, AccountTally { up_bytes, ..AccountTally::default() })])
        };
        let monotone = Monotone::default();
        let sum = |ended, live| monotone.sum(&of(ended), &of(live))[&account].up_bytes;
        assert_eq!(sum(100, 50), 150);
        // It has ended after the ended ones were counted, and before the live ones were.
        assert_eq!(sum(100, 0), 150);
        assert_eq!(sum(160, 10), 170);
    }
}
