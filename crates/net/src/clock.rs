//! Where the two clocks are read: once for a batch of packets.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use turn_credentials::UnixSeconds;
use turn_engine::Now;

/// Both clocks, now.
pub(crate) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Now { mono: Instant::now(), unix: UnixSeconds(unix) }
}
