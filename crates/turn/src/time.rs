//! The two clocks of the engine, both of them inputs.
//!
//! Whatever expires here (allocations, permissions, channels, reservations)
//! is compared with the monotonic clock, so a jump of the wall clock moves no
//! expiry. Wall time serves nonces and time-limited credentials only.

use std::time::Instant;

use turn_credentials::UnixSeconds;

/// The time at which an input is judged: the caller reads both clocks once and
/// hands them to every call of the same batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time; everything that expires is measured by it.
    pub mono: Instant,
    /// Wall time; nonces and the expiry of time-limited credentials.
    pub unix: UnixSeconds,
}
