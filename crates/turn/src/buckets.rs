//! Rate buckets for keys that a stranger can choose: one fixed table of
//! atomics for the whole process.
//!
//! Nothing grows: 2^16 words, keyed by a hash with a secret of the process, and
//! a new key takes the place of the idlest of its set `[H11] [H12]`. A word
//! holds a tag of the key and the bucket as a single time (generic cell rate
//! algorithm): the moment at which it will be full again. One compare-and-swap
//! a request, exact across shards.
//!
//! ```text
//!   63            40 39                         0
//!   | tag of the key | full again at, µs, wraps  |
//! ```

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::rate::{Bandwidth, Rate};

/// What a bucket counts; part of its key, so that none disturbs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    BindingReplies = 1,
    Challenges = 2,
    ChallengesOfPort = 3,
    FailedAttempts = 4,
    UserUp = 5,
    UserDown = 6,
    RealmUp = 7,
    RealmDown = 8,
    ProcessUp = 9,
    ProcessDown = 10,
    WrongConnections = 11,
    TenantUp = 12,
    TenantDown = 13,
    UnknownNames = 14,
}

const SETS: usize = 1 << 14;
const WAYS: usize = 4;
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// In microseconds.
const SECOND: u64 = 1_000_000;
/// Half the range: further ahead is the past. 6.3 days.
const HALF: u64 = 1 << (TIME_BITS - 1);
/// How far the clocks of two shards may be apart: the time that one is kept from the processor
/// in the middle of a batch.
const LAG: u64 = 1_000_000;

/// How full the table of rate buckets is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateBuckets {
    /// Buckets that there are.
    pub total: usize,
    /// Buckets that are not full again yet.
    pub occupied: usize,
    /// Buckets of this kind that had to make room for others, since the start.
    pub evictions: u64,
}

#[derive(Debug)]
pub(crate) struct Buckets {
    sets: Box<[[AtomicU64; WAYS]]>,
    evictions: AtomicU64,
    hasher: RandomState,
    started: Instant,
}

impl Buckets {
    pub(crate) fn new(started: Instant) -> Self {
        let sets = (0..SETS).map(|_| [const { AtomicU64::new(0) }; WAYS]).collect();
        // [H32] SipHash with a random key: what a stranger chooses never picks its set.
        Self { sets, evictions: AtomicU64::new(0), hasher: RandomState::new(), started }
    }

    /// Takes `cost` units from the bucket of (`purpose`, `key`), or nothing.
    pub(crate) fn take(
        &self,
        purpose: Purpose,
        key: u64,
        rate: Rate,
        cost: u32,
        now: Instant,
    ) -> bool {
        let (price, span) = prices(rate, cost);
        self.change(purpose, key, price, span, now, true)
    }

    /// Takes at least `bytes` of a bandwidth, or nothing; gives how many. The table counts in
    /// microseconds: a part of one would be lost to one side or the other, and at 1 Gbit/s that
    /// is half a packet.
    pub(crate) fn take_bytes(
        &self,
        purpose: Purpose,
        key: u64,
        of: Bandwidth,
        bytes: u64,
        now: Instant,
    ) -> Option<u64> {
        let per_second = of.bytes_per_second.max(1);
        let price = bytes.saturating_mul(SECOND).div_ceil(per_second);
        let span = of.burst().saturating_mul(SECOND) / per_second;
        let granted = price.saturating_mul(per_second) / SECOND;
        self.change(purpose, key, price, span, now, true).then_some(granted.max(bytes))
    }

    /// Whether `cost` units could be taken.
    pub(crate) fn has(
        &self,
        purpose: Purpose,
        key: u64,
        rate: Rate,
        cost: u32,
        now: Instant,
    ) -> bool {
        let (price, span) = prices(rate, cost);
        self.change(purpose, key, price, span, now, false)
    }

    pub(crate) fn census(&self, now: Instant) -> RateBuckets {
        let now = micros(now.saturating_duration_since(self.started)) & TIME_MASK;
        let words = self.sets.iter().flatten();
        let occupied = words.filter(|word| is_ahead(word.load(Ordering::Relaxed), now)).count();
        let evictions = self.evictions.load(Ordering::Relaxed);
        RateBuckets { total: SETS * WAYS, occupied, evictions }
    }

    /// `price` and `span` in microseconds: what is asked, and what a full
    /// bucket has.
    fn change(
        &self,
        purpose: Purpose,
        key: u64,
        price: u64,
        span: u64,
        now: Instant,
        take: bool,
    ) -> bool {
        let hash = self.hash(purpose, key);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits choose the set")]
        let set = (hash as usize) & (SETS - 1);
        let Some(set) = self.sets.get(set) else { return false };
        // Never zero, which marks an empty word.
        let tag = (hash >> TIME_BITS | 1) << TIME_BITS;
        let now = micros(now.saturating_duration_since(self.started)) & TIME_MASK;
        let span = span.min(HALF - 1);
        let price = price.clamp(1, HALF);

        // [H11, H12] A place is taken over, the table never grows.
        let word = Self::choose(set, tag, now);
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let full_at = if seen & !TIME_MASK == tag { seen & TIME_MASK } else { now };
            let ahead = full_at.wrapping_sub(now) & TIME_MASK;
            // Behind us, or further ahead than this bucket can be: full. A shard that reads its
            // clock once a batch lags behind the one that wrote: for it the bucket is empty.
            let ahead = if ahead >= HALF || ahead > span + LAG { 0 } else { ahead };
            if ahead + price > span {
                return false;
            }
            if !take {
                return true;
            }
            let next = tag | (now + ahead + price) & TIME_MASK;
            match word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if seen & !TIME_MASK != tag && is_ahead(seen, now) {
                        self.evictions.fetch_add(1, Ordering::Relaxed);
                    }
                    return true;
                }
                Err(current) => seen = current,
            }
        }
    }

    /// The word of this tag, or the idlest of its set.
    fn choose(set: &[AtomicU64; WAYS], tag: u64, now: u64) -> &AtomicU64 {
        let [first, rest @ ..] = set;
        let mut idlest = first;
        let mut least = u64::MAX;
        for word in std::iter::once(first).chain(rest) {
            let seen = word.load(Ordering::Relaxed);
            if seen & !TIME_MASK == tag {
                return word;
            }
            let ahead = (seen & TIME_MASK).wrapping_sub(now) & TIME_MASK;
            // The past sorts before the future, an empty word before all.
            let rank = if seen == 0 { 0 } else { ahead ^ HALF };
            if rank < least {
                least = rank;
                idlest = word;
            }
        }
        idlest
    }

    fn hash(&self, purpose: Purpose, key: u64) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(purpose as u8);
        hasher.write_u64(key);
        hasher.finish()
    }
}

/// Whether a word is a bucket that is not full again yet.
const fn is_ahead(word: u64, now: u64) -> bool {
    let ahead = (word & TIME_MASK).wrapping_sub(now) & TIME_MASK;
    word != 0 && ahead > 0 && ahead < HALF
}

fn prices(rate: Rate, cost: u32) -> (u64, u64) {
    (micros(rate.interval.saturating_mul(cost)), micros(rate.span()))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn admitted(buckets: &Buckets, key: u64, rate: Rate, tries: usize, now: Instant) -> usize {
        (0..tries).filter(|_| buckets.take(Purpose::Challenges, key, rate, 1, now)).count()
    }

    #[test]
    fn bucket_admits_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let buckets = Buckets::new(start);
        let rate = Rate::per_second(1_000, 2_000);
        assert_eq!(admitted(&buckets, 7, rate, 5_000, start), 2_000);
        assert_eq!(admitted(&buckets, 7, rate, 5_000, start + Duration::from_secs(1)), 1_000);
        assert_eq!(admitted(&buckets, 7, rate, 5_000, start + Duration::from_secs(86_400)), 2_000);
        assert_eq!(
            admitted(&buckets, 7, rate, 5_000, start + Duration::from_secs(86_400 * 30)),
            2_000
        );
    }

    #[test]
    fn bandwidth_is_exact_for_packets_that_fill_no_whole_microsecond() {
        for (bytes_per_second, packet) in
            [(125_000_000, 240), (1_250_000_000, 160), (1_250_000_001, 1_300), (125_000, 160)]
        {
            let start = Instant::now();
            let (buckets, limit) = (Buckets::new(start), Bandwidth { bytes_per_second });
            let take = |now| buckets.take_bytes(Purpose::ProcessUp, 0, limit, packet, now);
            while take(start).is_some() {}
            let later = start + Duration::from_millis(200);
            let passed: u64 = std::iter::from_fn(|| take(later)).sum();
            let expected = bytes_per_second / 5;
            let off = passed.abs_diff(expected);
            assert!(
                off <= expected / 100 + packet,
                "{passed} of {expected} bytes, {packet} at once"
            );
        }
    }

    #[test]
    fn one_key_does_not_use_up_another_nor_another_purpose() {
        let start = Instant::now();
        let buckets = Buckets::new(start);
        let rate = Rate::per_second(5, 10);
        assert_eq!(admitted(&buckets, 1, rate, 50, start), 10);
        assert_eq!(admitted(&buckets, 2, rate, 50, start), 10);
        assert!(buckets.take(Purpose::BindingReplies, 1, rate, 1, start));
    }

    #[test]
    fn h12_a_sweep_of_strangers_does_not_shut_out_a_newcomer() {
        let start = Instant::now();
        let buckets = Buckets::new(start);
        let rate = Rate::per_second(5, 10);
        for stranger in 0..1_000_000_u64 {
            buckets.take(Purpose::Challenges, stranger, rate, 1, start);
        }
        let refused = (2_000_000..2_001_000_u64)
            .filter(|&key| !buckets.take(Purpose::Challenges, key, rate, 1, start))
            .count();
        assert!(refused <= 10, "{refused} of 1000 newcomers were refused");
    }

    #[test]
    fn shard_whose_clock_lags_finds_an_empty_bucket_empty() {
        let start = Instant::now();
        let buckets = Buckets::new(start);
        let rate = Rate::per_second(1_000, 2_000);
        let [behind, ahead] = [1_000, 1_020].map(|ms| start + Duration::from_millis(ms));
        assert_eq!(admitted(&buckets, 7, rate, 5_000, ahead), 2_000);
        assert_eq!(admitted(&buckets, 7, rate, 5_000, behind), 0);
        assert_eq!(admitted(&buckets, 7, rate, 5_000, ahead), 0);
    }

    #[test]
    fn bucket_of_a_limit_that_was_lowered_starts_full() {
        let start = Instant::now();
        let buckets = Buckets::new(start);
        assert_eq!(admitted(&buckets, 7, Rate::per_second(1_000, 2_000), 5_000, start), 2_000);
        assert_eq!(admitted(&buckets, 7, Rate::per_second(1_000, 10), 5_000, start), 10);
    }

    #[test]
    fn census_counts_what_is_used_and_what_had_to_go() {
        let start = Instant::now();
        let buckets = Buckets::new(start);
        let rate = Rate::per_second(1, 10);
        for key in 0..100 {
            assert!(buckets.take(Purpose::Challenges, key, rate, 1, start));
        }
        let census = buckets.census(start);
        assert_eq!(census, RateBuckets { total: 65_536, occupied: 100, evictions: 0 });
        assert_eq!(buckets.census(start + Duration::from_secs(1)).occupied, 0);
        for key in 0..200_000 {
            buckets.take(Purpose::Challenges, key, rate, 1, start);
        }
        let census = buckets.census(start);
        assert!(census.occupied > 65_000, "{census:?}");
        let made_room = 200_000 - census.occupied as u64;
        assert!(census.evictions.abs_diff(made_room) < 200, "{census:?}");
    }

    #[test]
    fn asking_takes_nothing() {
        let start = Instant::now();
        let buckets = Buckets::new(start);
        let rate = Rate::per_second(1, 1);
        assert!(buckets.has(Purpose::FailedAttempts, 1, rate, 1, start));
        assert!(buckets.take(Purpose::FailedAttempts, 1, rate, 1, start));
        assert!(!buckets.has(Purpose::FailedAttempts, 1, rate, 1, start));
    }
}
