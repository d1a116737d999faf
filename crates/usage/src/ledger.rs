//! Differences: what came since the last look, by day and party, until it is written.
//!
//! An allocation is known from the first look until some looks after its last one, so that its end,
//! which comes another way, adds only the rest, and a look that was taken before its end and arrives
//! after it adds nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::totals::Totals;
use crate::{AllocationKey, Day, Ended, Live, Party, Traffic};

/// Looks that an allocation is remembered for after its last one.
const REMEMBERED: u64 = 24;

/// Entries of the log that wait to be written at most.
const MOST_ENTRIES: usize = 65_536;

/// What one row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) traffic: Traffic,
    pub(crate) allocations: u64,
    pub(crate) seconds: u64,
}

/// What is not written yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    counts: HashMap<Day, HashMap<Party, Count>>,
    pub(crate) log: Vec<Ended>,
}

/// Everything that was seen and not written.
#[derive(Debug)]
pub(crate) struct Ledger {
    seen: HashMap<AllocationKey, Seen>,
    looks: u64,
    pending: Pending,
    /// Parties that have a row, by day: the last two of them.
    known: BTreeMap<Day, HashSet<Party>>,
    most_rows: usize,
}

/// An allocation at the last look.
#[derive(Debug, Clone, Copy)]
struct Seen {
    traffic: Traffic,
    seconds: u64,
    look: u64,
    has_ended: bool,
}

impl Ledger {
    /// Rows of a day at most; what comes then is counted for [`Party::OTHERS`].
    pub(crate) const MOST_ROWS: usize = 100_000;

    pub(crate) fn new(most_rows: usize) -> Self {
        Self {
            seen: HashMap::new(),
            looks: 0,
            pending: Pending::default(),
            known: BTreeMap::new(),
            most_rows,
        }
    }

    /// These have rows of that day in the database.
    pub(crate) fn know(&mut self, day: Day, parties: impl IntoIterator<Item = Party>) {
        self.known.entry(day).or_default().extend(parties);
    }

    /// Counts what came since the last look.
    pub(crate) fn observe(&mut self, live: Vec<Live>, day: Day, totals: &mut Totals) {
        self.looks += 1;
        for Live { id, party, traffic, age } in live {
            let seconds = age.as_secs();
            let now = Seen { traffic, seconds, look: self.looks, has_ended: false };
            if let Some(count) = self.see(id, now) {
                self.count(day, &party.bounded(), count, totals);
            }
        }
        let oldest = self.looks.saturating_sub(REMEMBERED);
        self.seen.retain(|_, seen| seen.look >= oldest);
    }

    /// Counts the rest of an allocation. False: its entry in the log is lost, for too many wait.
    pub(crate) fn end(&mut self, mut ended: Box<Ended>, day: Day, totals: &mut Totals) -> bool {
        ended.party = std::mem::take(&mut ended.party).bounded();
        let (traffic, seconds) = (ended.traffic, ended.age.as_secs());
        let now = Seen { traffic, seconds, look: self.looks, has_ended: true };
        if let Some(count) = self.see(ended.id, now) {
            self.count(day, &ended.party, count, totals);
        }
        let has_room = self.pending.log.len() < MOST_ENTRIES;
        if has_room {
            self.pending.log.push(*ended);
        }
        has_room
    }

    /// What is to be written now.
    pub(crate) fn take(&mut self) -> Pending {
        std::mem::take(&mut self.pending)
    }

    /// Takes back what could not be written; how many entries of the log are lost by that.
    pub(crate) fn take_back(&mut self, mut old: Pending) -> u64 {
        for (day, rows) in self.pending.counts.drain() {
            let before = old.counts.entry(day).or_default();
            for (party, count) in rows {
                before.entry(party).or_default().add(count);
            }
        }
        let new = std::mem::take(&mut self.pending.log);
        let room = MOST_ENTRIES.saturating_sub(old.log.len());
        let lost = new.len().saturating_sub(room);
        old.log.extend(new.into_iter().take(room));
        self.pending = old;
        u64::try_from(lost).unwrap_or(u64::MAX)
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// What came since the allocation was last seen; nothing where its end is known already.
    fn see(&mut self, id: AllocationKey, now: Seen) -> Option<Count> {
        let before = self.seen.insert(id, now);
        let Some(before) = before else {
            return Some(Count { traffic: now.traffic, allocations: 1, seconds: now.seconds });
        };
        if before.has_ended {
            self.seen.insert(id, Seen { look: now.look, ..before });
            return None;
        }
        let traffic = now.traffic.since(before.traffic);
        let seconds = now.seconds.saturating_sub(before.seconds);
        Some(Count { traffic, allocations: 0, seconds })
    }

    /// Counts for a party whose texts are bounded.
    fn count(&mut self, day: Day, party: &Party, count: Count, totals: &mut Totals) {
        if count == Count::default() {
            return;
        }
        totals.add(day, party, count.traffic.bytes());
        // Who has a row that waits to be written was admitted to it.
        let waiting = self.pending.counts.get_mut(&day).and_then(|rows| rows.get_mut(party));
        if let Some(row) = waiting {
            return row.add(count);
        }
        let party = self.admit(day, party.clone());
        self.pending.counts.entry(day).or_default().entry(party).or_default().add(count);
    }

    /// The party, or whom it is counted for where the day has too many rows.
    fn admit(&mut self, day: Day, party: Party) -> Party {
        let most = self.most_rows;
        let known = self.known.entry(day).or_default();
        let party = if known.contains(&party) {
            return party;
        } else if known.len() < most {
            party
        } else {
            party.others()
        };
        // Others are few: one for each realm and tenant, which the configuration names.
        if known.len() < most.saturating_mul(2) {
            known.insert(party.clone());
        }
        if self.known.len() > 2 {
            let last = self.known.keys().next_back().copied();
            self.known.retain(|other, _| *other == day || Some(*other) == last);
        }
        party
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        self.traffic.add(other.traffic);
        self.allocations = self.allocations.saturating_add(other.allocations);
        self.seconds = self.seconds.saturating_add(other.seconds);
    }
}

impl Pending {
    /// The rows that wait, each with its day.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Day, &Party, &Count)> {
        self.counts
            .iter()
            .flat_map(|(day, rows)| rows.iter().map(move |(party, count)| (*day, party, count)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.log.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_came_since_the_last_look_is_counted() {
        let mut world = World::new();
        world.look(&[live(1, "ann", 100, 5)]);
        world.look(&[live(1, "ann", 250, 10)]);
        assert_eq!(world.of("ann"), (250, 1, 10));
        world.end(1, "ann", 300, 12);
        assert_eq!(world.of("ann"), (300, 1, 12));
    }

    #[test]
    fn an_allocation_that_no_look_has_seen_counts_by_its_end() {
        let mut world = World::new();
        world.end(1, "ann", 70, 3);
        assert_eq!(world.of("ann"), (70, 1, 3));
        assert_eq!(world.ledger.pending().log.len(), 1);
    }

    #[test]
    fn a_look_that_arrives_after_the_end_adds_nothing() {
        let mut world = World::new();
        world.look(&[live(1, "ann", 100, 5)]);
        world.end(1, "ann", 130, 7);
        for _ in 0..2 * REMEMBERED {
            world.look(&[live(1, "ann", 120, 6)]);
        }
        assert_eq!(world.of("ann"), (130, 1, 7));
    }

    #[test]
    fn an_end_that_comes_some_looks_later_adds_the_rest_only() {
        let mut world = World::new();
        world.look(&[live(1, "ann", 100, 5)]);
        for _ in 0..REMEMBERED {
            world.look(&[]);
        }
        world.end(1, "ann", 130, 7);
        assert_eq!(world.of("ann"), (130, 1, 7));
    }

    #[test]
    fn what_is_gone_for_long_is_forgotten() {
        let mut world = World::new();
        world.look(&[live(1, "ann", 100, 5), live(2, "bob", 1, 1)]);
        world.end(2, "bob", 1, 1);
        for _ in 0..=REMEMBERED {
            world.look(&[]);
        }
        assert!(world.ledger.seen.is_empty());
    }

    #[test]
    fn a_day_has_so_many_rows_and_others() {
        let mut world = World { ledger: Ledger::new(2), ..World::new() };
        let users = ["ann", "bob", "eve", "dan"];
        let all: Vec<_> =
            (1..).zip(users).map(|(serial, user)| live(serial, user, 10, 1)).collect();
        world.look(&all);
        assert_eq!((world.of("ann"), world.of("bob")), ((10, 1, 1), (10, 1, 1)));
        assert_eq!(world.of(Party::OTHERS), (20, 2, 2));
        assert_eq!(world.of("eve"), (0, 0, 0));
    }

    #[test]
    fn rows_of_the_database_count_too() {
        let mut world = World { ledger: Ledger::new(1), ..World::new() };
        world.ledger.know(world.day, [party("ann")]);
        world.look(&[live(1, "ann", 10, 1), live(2, "bob", 10, 1)]);
        assert_eq!((world.of("ann"), world.of("bob")), ((10, 1, 1), (0, 0, 0)));
        assert_eq!(world.of(Party::OTHERS), (10, 1, 1));
    }

    #[test]
    fn what_could_not_be_written_is_taken_back() {
        let mut world = World::new();
        world.end(1, "ann", 10, 1);
        let old = world.ledger.take();
        assert!(world.ledger.pending().is_empty());
        world.end(2, "ann", 5, 1);
        assert_eq!(world.ledger.take_back(old), 0);
        assert_eq!(world.of("ann"), (15, 2, 2));
        let order: Vec<_> =
            world.ledger.pending().log.iter().map(|ended| ended.id.serial).collect();
        assert_eq!(order, [1, 2]);
    }

    #[test]
    fn the_log_that_waits_is_bounded() {
        let mut world = World::new();
        for serial in 0..70_000 {
            world.end(serial, "ann", 1, 0);
        }
        assert_eq!(world.of("ann"), (70_000, 70_000, 0));
        assert_eq!(world.ledger.pending().log.len(), MOST_ENTRIES);
        let old = world.ledger.take();
        world.end(70_001, "ann", 1, 0);
        assert_eq!(world.ledger.take_back(old), 1);
    }

    struct World {
        ledger: Ledger,
        totals: Totals,
        day: Day,
    }

    impl World {
        fn new() -> Self {
            let ledger = Ledger::new(Ledger::MOST_ROWS);
            Self { ledger, totals: Totals::default(), day: Day::of(1_795_305_600) }
        }

        fn look(&mut self, live: &[Live]) {
            self.ledger.observe(live.to_vec(), self.day, &mut self.totals);
        }

        fn end(&mut self, serial: u64, user: &str, bytes: u64, seconds: u64) {
            let Live { id, party, traffic, age } = live(serial, user, bytes, seconds);
            let ended = Ended {
                id,
                party,
                traffic,
                age,
                started_at: 0,
                ended_at: 1,
                reason: "deleted",
                client: "192.0.2.1:1".to_owned(),
                transport: "udp",
                relayed: Vec::new(),
                peers: Vec::new(),
            };
            self.ledger.end(Box::new(ended), self.day, &mut self.totals);
        }

        /// Bytes, allocations and seconds of a user.
        fn of(&self, user: &str) -> (u64, u64, u64) {
            let rows = self.ledger.pending().counts.get(&self.day);
            let count = rows.and_then(|rows| rows.get(&party(user))).copied().unwrap_or_default();
            (count.traffic.bytes(), count.allocations, count.seconds)
        }
    }

    fn party(user: &str) -> Party {
        Party { realm: "example.org".to_owned(), user: user.to_owned(), ..Party::default() }
    }

    fn live(serial: u64, user: &str, up_bytes: u64, seconds: u64) -> Live {
        Live {
            id: AllocationKey { shard: 0, serial },
            party: party(user),
            traffic: Traffic { up_bytes, ..Traffic::default() },
            age: Duration::from_secs(seconds),
        }
    }
}
