//! What was counted over one stretch of time.

use std::collections::BTreeMap;

use super::tenths::Tenths;
use super::{CpuTime, Histogram};

/// Counts of one warm-up or one measurement. Times are nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// When it began, by the clock of the stamps.
    pub(crate) since: u64,
    /// How long it took.
    pub(crate) elapsed: u64,
    /// Packets that the kernel took from us, or cycles begun.
    pub(crate) sent: u64,
    /// Packets that arrived where they were meant to, or cycles completed.
    pub(crate) received: u64,
    /// Of those, the ones before the end of the measurement, to which CPU time belongs.
    pub(crate) received_in_time: u64,
    /// Cycles that the server refused, by error code.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// What came to a place that it was not meant for, or cannot be read.
    pub(crate) stray: u64,
    /// Junk sent.
    pub(crate) junk: u64,
    /// Times that nothing came for a while in a closed loop although something had to.
    pub(crate) stalls: u64,
    /// How many should have left, in an open loop.
    pub(crate) planned: u64,
    /// For how long there was nothing to do.
    pub(crate) idle: u64,
    /// From leaving to arriving.
    pub(crate) latency: Histogram,
    /// Its 99th percentile, tenth of a second by tenth of a second.
    pub(crate) tenths: Tenths,
    /// By how much packets left later than an open loop wants.
    pub(crate) late: Histogram,
    /// CPU time of the server.
    pub(crate) server: CpuTime,
    /// CPU time of the generator.
    pub(crate) generator: CpuTime,
}

impl Tally {
    /// Begins to count.
    pub(crate) fn since(now: u64) -> Self {
        Self { since: now, tenths: Tenths::since(now), ..Self::default() }
    }

    /// Counts an arrival, unless it is of an earlier stretch.
    pub(crate) fn arrived(&mut self, left: u64, now: u64) {
        if left >= self.since {
            self.tenths.look(now, &self.latency);
            self.received += 1;
            self.latency.add(now.saturating_sub(left), 1);
        }
    }

    /// Counts a refusal.
    pub(crate) fn refused(&mut self, code: u16) {
        *self.refused.entry(code).or_default() += 1;
    }

    /// How many are not on their way any more.
    pub(crate) fn settled(&self) -> u64 {
        self.received + self.refused.values().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_before_does_not_count() {
        let mut tally = Tally::since(1_000);
        tally.arrived(999, 2_000);
        tally.arrived(1_000, 2_500);
        tally.refused(437);
        assert_eq!((tally.received, tally.settled()), (1, 2));
        assert_eq!((tally.latency.count(), tally.latency.percentile(100)), (1, 1_500));
    }
}
