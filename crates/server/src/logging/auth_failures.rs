//! How many failures of authentication the log tells: anybody can cause them, so 10 a second, and
//! how many were left out `[H29]`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that are told in one second.
const MOST: u32 = 10;

/// Counts what was told and what was not.
#[derive(Debug)]
pub(super) struct AuthFailures(Mutex<Window>);

#[derive(Debug)]
struct Window {
    since: Instant,
    told: u32,
    left_out: u64,
}

impl AuthFailures {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Window { since: now, told: 0, left_out: 0 }))
    }

    /// Whether one more may be told.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(window.since) >= Duration::from_secs(1) {
            (window.since, window.told) = (now, 0);
        }
        // [H29]
        let admitted = window.told < MOST;
        if admitted {
            window.told += 1;
        } else {
            window.left_out += 1;
        }
        admitted
    }

    /// How many were left out since the last call.
    pub(super) fn take_left_out(&self) -> u64 {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut window.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h29_ten_a_second_are_told_and_the_others_counted() {
        let start = Instant::now();
        let failures = AuthFailures::new(start);
        let admitted = |at: Instant| (0..100).filter(|_| failures.admits(at)).count();
        assert_eq!(admitted(start), 10);
        assert_eq!(failures.take_left_out(), 90);
        assert_eq!(failures.take_left_out(), 0);
        assert_eq!(admitted(start + Duration::from_millis(999)), 0);
        assert_eq!(admitted(start + Duration::from_secs(1)), 10);
        assert_eq!(failures.take_left_out(), 190);
    }
}
