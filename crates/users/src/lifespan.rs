//! How long a deleted managed credential is remembered: the same in every store, since servers with
//! different stores behave alike.

use std::time::{SystemTime, UNIX_EPOCH};

/// For how long the name of a deleted credential cannot be made anew, in seconds: other servers
/// look every five, and end what goes by that name.
pub(crate) const NAME_RESTS: u64 = 15;

/// For how long a deleted credential is named, in seconds.
pub(crate) const ENDED_FOR: u64 = 86_400;

/// A deleted credential is forgotten then, in seconds.
pub(crate) const KEPT: u64 = 2 * 86_400;

/// Unix seconds.
pub(crate) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
