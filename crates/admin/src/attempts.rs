//! Wrong tokens, counted for each address: ten a minute, then silence.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// So many wrong tokens an address has in [`WINDOW`].
pub(crate) const MOST: u32 = 10;

/// How long a failure counts, from the first of its window.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// So many addresses are remembered; the oldest makes room.
const ADDRESSES: usize = 1024;

/// Who has failed how often.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failures: HashMap<IpAddr, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Attempts {
    /// Counts a wrong token; true if it was the last that the address has.
    pub(crate) fn fail(&mut self, address: IpAddr, now: Instant) -> bool {
        let key = prefix(address);
        self.forget(now);
        if self.failures.len() >= ADDRESSES && !self.failures.contains_key(&key) {
            let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.since);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.and_then(|key| self.failures.remove(&key));
        }
        let failures = self.failures.entry(key).or_insert(Failures { since: now, count: 0 });
        failures.count = failures.count.saturating_add(1);
        failures.count == MOST
    }

    /// For how long the address is not listened to.
    pub(crate) fn held_back(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.failures.get(&prefix(address))?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(failures.since))?;
        (failures.count >= MOST && !left.is_zero()).then_some(left)
    }

    fn forget(&mut self, now: Instant) {
        self.failures.retain(|_, failures| now.saturating_duration_since(failures.since) < WINDOW);
    }
}

/// What one holder can choose freely counts as one: an IPv6 /64.
pub(crate) fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_tenth_failure_holds_back_until_the_window_is_over() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for failure in 1..=MOST {
            assert_eq!(attempts.held_back(GUESSER, start), None);
            assert_eq!(attempts.fail(GUESSER, start), failure == MOST);
        }
        let later = start + WINDOW - Duration::from_secs(1);
        assert_eq!(attempts.held_back(GUESSER, later), Some(Duration::from_secs(1)));
        assert_eq!(attempts.held_back(IpAddr::V4(Ipv4Addr::LOCALHOST), later), None);
        assert_eq!(attempts.held_back(GUESSER, start + WINDOW), None);
        assert!(!attempts.fail(GUESSER, start + WINDOW), "a new window begins");
    }

    #[test]
    fn a_64_is_one_guesser_and_a_mapped_address_is_its_ipv4_one() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..u128::from(MOST) {
            attempts.fail(v6(0x2001_0db8_0000_0001 << 64 | host), now);
        }
        assert!(attempts.held_back(v6(0x2001_0db8_0000_0001 << 64 | 0xffff), now).is_some());
        assert_eq!(attempts.held_back(v6(0x2001_0db8_0000_0002 << 64), now), None);
        assert_eq!(prefix(IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped())), GUESSER);
    }

    #[test]
    fn many_addresses_cost_no_more_than_a_table() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for address in 0..10_000 {
            attempts.fail(IpAddr::V4(Ipv4Addr::from_bits(address)), now);
        }
        assert_eq!(attempts.failures.len(), ADDRESSES);
    }

    const GUESSER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn v6(bits: u128) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}
