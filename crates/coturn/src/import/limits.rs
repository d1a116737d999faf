//! Quotas, bandwidth and lifetimes. 0 is unlimited.

use std::time::Duration;

use turn_config::{AllocationsPerUser, BitRate, Limit, Rate};

use super::draft::Draft;
use crate::note::NoteKind;

pub(super) fn import(draft: &mut Draft<'_>) {
    draft.config.limits.allocations_per_user = AllocationsPerUser::Each(count(draft, "user-quota"));
    draft.config.limits.allocations = count(draft, "total-quota");
    draft.config.limits.bandwidth_per_allocation = bandwidth(draft, "max-bps");
    draft.config.limits.bandwidth = bandwidth(draft, "bps-capacity");
    if let Some(lifetime) = seconds(draft, "max-allocate-lifetime", 600, 86_400) {
        draft.config.limits.max_lifetime = lifetime;
    }
    nonce_lifetime(draft);
    challenges(draft);
}

fn count(draft: &mut Draft<'_>, name: &str) -> Limit<u32> {
    match draft.number(name) {
        None | Some((_, 0)) => Limit::Off,
        Some((_, count)) => Limit::At(u32::try_from(count).unwrap_or(u32::MAX)),
    }
}

/// Bytes a second.
fn bandwidth(draft: &mut Draft<'_>, name: &str) -> Limit<BitRate> {
    let (setting, bytes) = match draft.number(name) {
        None | Some((_, 0)) => return Limit::Off,
        Some(written) => written,
    };
    if bytes < LEAST_BYTES {
        let message = format!("raised to {LEAST_BYTES} bytes a second, below which no call works");
        draft.note(setting, NoteKind::Changed, message);
    }
    // A TOML reader has 63 bits for a number.
    let bits = bytes.clamp(LEAST_BYTES, MOST_BYTES) * 8;
    Limit::At(BitRate::from_bits_per_second(bits))
}

const LEAST_BYTES: u64 = 1000;
const MOST_BYTES: u64 = 1 << 50;

/// Seconds within bounds.
fn seconds(draft: &mut Draft<'_>, name: &str, least: u64, most: u64) -> Option<Duration> {
    let (setting, written) = draft.number(name)?;
    let kept = written.clamp(least, most);
    if kept != written {
        draft.note(
            setting,
            NoteKind::Changed,
            format!("{kept} seconds, of {least} to {most} here"),
        );
    }
    Some(Duration::from_secs(kept))
}

fn nonce_lifetime(draft: &mut Draft<'_>) {
    let Some(setting) = draft.last("stale-nonce") else { return };
    match setting.value.reveal() {
        // The flag alone is coturn's 600 seconds, and ours.
        "" => {}
        "0" => {
            let message = "RFC 8656 wants a nonce to end within an hour, which it does here";
            draft.note(setting, NoteKind::Changed, message);
            draft.config.auth.nonce_lifetime = Duration::from_secs(3600);
        }
        _ => {
            if let Some(lifetime) = seconds(draft, "stale-nonce", 1, 3600) {
                draft.config.auth.nonce_lifetime = lifetime;
            }
        }
    }
}

fn challenges(draft: &mut Draft<'_>) {
    let each_second = match draft.number("unauthorized-ratelimit-rps") {
        None | Some((_, 0)) => 10,
        Some((_, count)) => u32::try_from(count).unwrap_or(u32::MAX),
    };
    if draft.is_on("unauthorized-ratelimit") {
        let rate = Rate::per_second(each_second, each_second);
        draft.config.limits.challenges = Limit::At(rate);
    } else if let Some(setting) = draft.last("unauthorized-ratelimit-rps") {
        let message = "`unauthorized-ratelimit` is not on; limits.challenges has its default";
        draft.note(setting, NoteKind::Ignored, message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{config, refused, warnings};
    use super::*;

    #[test]
    fn zero_and_absent_are_unlimited() {
        for text in ["", "user-quota=0\ntotal-quota=0\nmax-bps=0\nbps-capacity=0"] {
            let limits = config(text).limits;
            assert_eq!(limits.allocations, Limit::Off);
            assert_eq!(limits.allocations_per_user, AllocationsPerUser::Each(Limit::Off));
            assert_eq!(limits.bandwidth_per_allocation, Limit::Off);
            assert_eq!(limits.bandwidth, Limit::Off);
        }
    }

    #[test]
    fn quotas_count_allocations_and_rates_are_bytes() {
        let text = "user-quota=12 # each\ntotal-quota=1200\nmax-bps=64000\nbps-capacity=1000000000";
        let limits = config(text).limits;
        assert_eq!(limits.allocations, Limit::At(1200));
        assert_eq!(limits.allocations_per_user, AllocationsPerUser::Each(Limit::At(12)));
        let bits = |limit: Limit<BitRate>| limit.value().map(BitRate::bits_per_second);
        assert_eq!(bits(limits.bandwidth_per_allocation), Some(512_000));
        assert_eq!(bits(limits.bandwidth), Some(8_000_000_000));
        assert_eq!(bits(config("max-bps=10").limits.bandwidth_per_allocation), Some(8_000));
        assert!(warnings("max-bps=10").contains("raised to 1000"));
        config("max-bps=18446744073709551615\ntotal-quota=18446744073709551615");
        assert!(refused("max-bps=lots").contains("not a number"));
    }

    #[test]
    fn lifetimes_are_kept_within_what_the_rfc_asks_for() {
        let lifetime = |text: &str| config(text).limits.max_lifetime.as_secs();
        assert_eq!(lifetime("max-allocate-lifetime=7200"), 7200);
        assert_eq!(lifetime("max-allocate-lifetime=60"), 600);
        assert!(warnings("max-allocate-lifetime=60").contains("600 seconds"));
        let nonce = |text: &str| config(text).auth.nonce_lifetime.as_secs();
        assert_eq!(nonce("stale-nonce"), 600);
        assert_eq!(nonce("stale-nonce=1200"), 1200);
        assert_eq!(nonce("stale-nonce=0"), 3600);
        assert_eq!(nonce("stale-nonce=86400"), 3600);
        assert!(warnings("stale-nonce=0").contains("within an hour"));
        assert_eq!(warnings("channel-lifetime=600\npermission-lifetime=300"), "");
        assert!(warnings("permission-lifetime=3600").contains("ignored: RFC 8656 fixes it"));
    }

    #[test]
    fn challenges_are_limited_as_asked_and_never_unlimited() {
        let rate = |text: &str| config(text).limits.challenges;
        assert_eq!(rate("unauthorized-ratelimit"), Limit::At(Rate::per_second(10, 10)));
        let text = "unauthorized-ratelimit\nunauthorized-ratelimit-rps=50";
        assert_eq!(rate(text), Limit::At(Rate::per_second(50, 50)));
        assert_eq!(rate("unauthorized-ratelimit-rps=50"), rate(""));
        assert_ne!(rate("unauthorized-ratelimit=0"), Limit::Off);
    }
}
