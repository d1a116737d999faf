//! The 99th percentile of each tenth of a second.
//!
//! Two or three milliseconds of something else on the server's core, as a machine's housekeeping
//! takes now and then, delay 3 % of what leaves in a tenth of a second. Of a whole second they are a
//! quarter of a percent, so it is chance whether four of them lift its 99th percentile by two orders
//! of magnitude. The median over tenths tells what the latency is while nobody interferes; the
//! percentiles of the whole are told beside it.

use super::Histogram;

/// The percentiles of the tenths that are over.
#[derive(Debug, Default)]
pub(crate) struct Tenths {
    /// When the current one is over, in nanoseconds of the clock of the stamps.
    over: u64,
    /// What was counted when it began.
    before: Histogram,
    p99: Vec<u64>,
}

/// Nanoseconds.
const TENTH: u64 = 100_000_000;

/// Fewer arrivals have no 99th percentile.
const ENOUGH: u64 = 100;

impl Tenths {
    pub(crate) fn since(now: u64) -> Self {
        Self { over: now + TENTH, ..Self::default() }
    }

    /// Ends the current tenth if it is over; called before anything is counted.
    #[inline]
    pub(crate) fn look(&mut self, now: u64, counted: &Histogram) {
        if now >= self.over {
            self.end(now, counted);
        }
    }

    fn end(&mut self, now: u64, counted: &Histogram) {
        let tenth = counted.since(&self.before);
        if tenth.count() >= ENOUGH {
            self.p99.push(tenth.percentile(99));
        }
        self.before = counted.clone();
        self.over = now - (now - self.over) % TENTH + TENTH;
    }

    /// The median in nanoseconds; `None` if no tenth was over.
    pub(crate) fn median(&self) -> Option<u64> {
        let mut sorted = self.p99.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_tenth_of_three_does_not_move_the_median() {
        let mut tenths = Tenths::since(0);
        let mut counted = Histogram::new();
        for (tenth, slow) in [(0, 0), (1, 50), (2, 0)] {
            for arrival in 0..1_000 {
                tenths.look(tenth * TENTH + arrival, &counted);
                counted.add(if arrival < slow { 3_000_000 } else { 20 }, 1);
            }
        }
        tenths.look(3 * TENTH, &counted);
        assert_eq!(tenths.p99.len(), 3);
        assert!(tenths.p99.iter().any(|p99| *p99 >= 3_000_000), "{:?}", tenths.p99);
        assert_eq!(tenths.median(), Some(20));
        assert!(counted.percentile(99) >= 3_000_000);
    }

    #[test]
    fn silence_is_no_tenth_and_ends_on_time() {
        let mut tenths = Tenths::since(7);
        let mut counted = Histogram::new();
        assert_eq!(tenths.median(), None);
        counted.add(5, ENOUGH);
        tenths.look(7 + 25 * TENTH + 3, &counted);
        assert_eq!((tenths.median(), tenths.over), (Some(5), 7 + 26 * TENTH));
        counted.add(5, ENOUGH - 1);
        tenths.look(tenths.over, &counted);
        assert_eq!((tenths.p99.len(), tenths.over), (1, 7 + 27 * TENTH));
    }
}
