//! When a loop should nap: at media rates, where one wake-up can serve many
//! packets, and not at saturation, where there is no sleep to save.

use std::time::{Duration, Instant};

/// Decides about naps from the packet rate of the recent past.
pub(crate) struct Pace {
    budget: Option<Duration>,
    since: Instant,
    packets: u64,
    /// Packets a second over the last full window.
    rate: f64,
}

/// How long a rate is measured.
const WINDOW: Duration = Duration::from_millis(250);

/// Below, sleeping is cheap; above, a closed loop would nap itself down.
const RATES: std::ops::Range<f64> = 5_000.0..100_000.0;

/// A wake-up that served so many was worth it already.
const ENOUGH: usize = 24;

impl Pace {
    /// Naps of at most `budget`; `None` for none.
    pub(crate) fn new(budget: Option<Duration>) -> Self {
        Self { budget, since: Instant::now(), packets: 0, rate: 0.0 }
    }

    /// Counts a visit that served `packets` and says whether, and how long,
    /// to nap after it.
    pub(crate) fn after(&mut self, packets: usize) -> Option<Duration> {
        let budget = self.budget?;
        self.packets += packets as u64;
        let elapsed = self.since.elapsed();
        if elapsed >= WINDOW {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 packets")]
            let packets = self.packets as f64;
            self.rate = packets / elapsed.as_secs_f64();
            self.packets = 0;
            self.since = Instant::now();
        }
        (RATES.contains(&self.rate) && packets < ENOUGH).then_some(budget)
    }
}
