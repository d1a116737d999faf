//! Moments for operators, who count from 1970, and for engines, which count both ways.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn_credentials::UnixSeconds;
use turn_engine::Now;

/// Seconds since 1970; 0 for a clock that stands before.
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 at another moment of the monotonic clock.
pub fn unix_seconds_at(at: Instant) -> u64 {
    let (mono, wall) = (Instant::now(), SystemTime::now());
    let ahead = at.saturating_duration_since(mono);
    let ago = mono.saturating_duration_since(at);
    let wall = wall.checked_add(ahead).and_then(|wall| wall.checked_sub(ago));
    wall.map_or(0, unix_seconds)
}

/// Both clocks.
pub fn now() -> Now {
    Now { mono: Instant::now(), unix: UnixSeconds(unix_seconds(SystemTime::now())) }
}

/// Whole seconds, rounded up: what is nearly over is not over.
pub fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_ahead_and_one_ago_are_as_far_from_now() {
        let hour = Duration::from_secs(3_600);
        let now = unix_seconds(SystemTime::now());
        assert!(unix_seconds_at(Instant::now() + hour).abs_diff(now + 3_600) <= 1);
        assert_eq!(seconds_up(Duration::from_millis(1_001)), 2);
        assert_eq!(unix_seconds(UNIX_EPOCH - hour), 0);
    }
}
