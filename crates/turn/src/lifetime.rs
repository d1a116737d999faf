//! How long an allocation may live from now on.

use std::time::{Duration, Instant};

use crate::allocation::Owner;
use crate::realm::Realm;
use crate::time::Now;

/// RFC 8656 section 3.2: the default lifetime is 10 minutes, and a server
/// grants no less.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

/// RFC 8656 section 7.2: the smaller of what is asked and the server's
/// maximum, but at least the default `[T10]`. `max_allocation_age` and
/// `strict_expiry` cut even that.
pub(crate) fn granted(
    realm: &Realm,
    asked: Option<Duration>,
    born: Instant,
    owner: &Owner,
    now: Now,
) -> Duration {
    let limits = &realm.limits;
    // [T10]
    let granted = asked
        .map_or(DEFAULT_LIFETIME, |asked| asked.min(limits.max_lifetime))
        .max(DEFAULT_LIFETIME);
    let of_age = limits.max_allocation_age.map(|age| {
        age.saturating_sub(now.mono.saturating_duration_since(born)).max(Duration::from_secs(1))
    });
    let of_credential = realm
        .keyring
        .seconds_left(owner.expiry, now.unix)
        .map(|seconds| Duration::from_secs(seconds.max(1)));
    [of_age, of_credential].into_iter().flatten().fold(granted, Duration::min)
}
