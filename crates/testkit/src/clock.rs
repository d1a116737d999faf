//! A clock that moves only when it is told to.

use std::time::{Duration, Instant};

use turn_credentials::UnixSeconds;
use turn_engine::Now;

/// Wall time at which every world starts.
pub const START: UnixSeconds = UnixSeconds(1_800_000_000);

/// Both clocks of the engine: monotonic time, and wall time that can be moved apart.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
    elapsed: Duration,
    skew: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock at [`START`].
    pub fn new() -> Self {
        // An Instant can be had in no other way; only differences from it count.
        Self { start: Instant::now(), elapsed: Duration::ZERO, skew: 0 }
    }

    /// Moves both clocks forward.
    pub fn advance(&mut self, by: Duration) {
        self.elapsed += by;
    }

    /// Moves monotonic time forward to `to`, and wall time with it.
    pub fn advance_to(&mut self, to: Instant) {
        self.elapsed = self.elapsed.max(to.saturating_duration_since(self.start));
    }

    /// Moves wall time alone.
    pub fn jump(&mut self, seconds: i64) {
        self.skew += seconds;
    }

    /// The time.
    pub fn now(&self) -> Now {
        let unix = (START.0 + self.elapsed.as_secs()).saturating_add_signed(self.skew);
        Now { mono: self.start + self.elapsed, unix: UnixSeconds(unix) }
    }
}
