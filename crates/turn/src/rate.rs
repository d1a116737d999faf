//! Rates: so many a period, and how many at once.

use std::time::{Duration, Instant};

/// A rate with its burst, as `"1000/s burst 2000"` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Time that one unit takes to come back.
    pub interval: Duration,
    /// Units that may be used at once; at least 1.
    pub burst: u32,
}

impl Rate {
    /// `count` units in each `period`, `burst` at once.
    pub fn new(count: u32, period: Duration, burst: u32) -> Self {
        Self { interval: period / count.max(1), burst: burst.max(1) }
    }

    /// `count` units a second, `burst` at once.
    pub fn per_second(count: u32, burst: u32) -> Self {
        Self::new(count, Duration::from_secs(1), burst)
    }

    pub(crate) fn span(self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }
}

/// A bandwidth in payload bytes a second, each direction on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bytes a second; at least 1.
    pub bytes_per_second: u64,
}

impl Bandwidth {
    /// 250 ms of the rate, and at least 64 KiB, so that a key frame passes.
    pub(crate) fn burst(self) -> u64 {
        (self.bytes_per_second / 4).max(64 * 1024)
    }
}

/// A token bucket of one owner: exact, no sharing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: u64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) const fn full(burst: u64, now: Instant) -> Self {
        Self { tokens: burst, filled_at: now }
    }

    /// Takes `amount`, or nothing.
    pub(crate) fn take(&mut self, amount: u64, per_second: u64, burst: u64, now: Instant) -> bool {
        self.refill(per_second, burst, now);
        if self.tokens < amount {
            return false;
        }
        self.tokens -= amount;
        true
    }

    /// Puts back what has just been taken.
    pub(crate) const fn put_back(&mut self, amount: u64) {
        self.tokens = self.tokens.saturating_add(amount);
    }

    fn refill(&mut self, per_second: u64, burst: u64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        let gained = elapsed.as_nanos() * u128::from(per_second) / 1_000_000_000;
        if gained == 0 {
            return;
        }
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        if self.tokens.saturating_add(gained) >= burst {
            self.tokens = burst;
            self.filled_at = now;
        } else {
            self.tokens += gained;
            // Only the time that whole units took, so that slow rates lose nothing.
            let used = u128::from(gained) * 1_000_000_000 / u128::from(per_second.max(1));
            self.filled_at += Duration::from_nanos(u64::try_from(used).unwrap_or(u64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::full(10, start);
        assert!((0..10).all(|_| bucket.take(1, 5, 10, start)));
        assert!(!bucket.take(1, 5, 10, start));
        let later = start + Duration::from_millis(1_100);
        assert_eq!((0..20).filter(|_| bucket.take(1, 5, 10, later)).count(), 5);
        // 100 ms were left over and count toward the next unit.
        assert!(bucket.take(1, 5, 10, start + Duration::from_millis(1_200)));
    }
}
