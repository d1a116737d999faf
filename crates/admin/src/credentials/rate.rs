//! Requests of one source, bounded: a bucket for each IPv4 address or IPv6 /64.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::attempts::prefix;

/// So many sources are remembered.
const SOURCES: usize = 8192;

/// How often one source may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRate {
    /// How many requests refill the bucket in one `period`; at least 1.
    pub events: u32,
    /// In this time; more than nothing.
    pub period: Duration,
    /// How many may come at once; at least 1.
    pub burst: u32,
}

/// The buckets. Each is one moment: when it will be full again.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    full_at: HashMap<IpAddr, Instant>,
}

impl Buckets {
    /// Takes a request of this source.
    ///
    /// # Errors
    /// After this time the next one is taken.
    pub(crate) fn take(
        &mut self,
        source: IpAddr,
        rate: SourceRate,
        now: Instant,
    ) -> Result<(), Duration> {
        let each = rate.period / rate.events.max(1);
        let depth = each.saturating_mul(rate.burst.max(1));
        let source = prefix(source);
        if !self.full_at.contains_key(&source) && self.full_at.len() >= SOURCES {
            self.make_room(now);
        }
        let full_at = self.full_at.entry(source).or_insert(now);
        let next = (*full_at).max(now) + each;
        let late = next.saturating_duration_since(now + depth);
        if !late.is_zero() {
            return Err(late);
        }
        *full_at = next;
        Ok(())
    }

    /// Forgets full buckets, and where there are none the one that is nearest to it.
    fn make_room(&mut self, now: Instant) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= SOURCES {
            let fullest = self.full_at.iter().min_by_key(|(_, full_at)| **full_at);
            let fullest = fullest.map(|(source, _)| *source);
            fullest.and_then(|source| self.full_at.remove(&source));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_one_at_a_time() {
        let (mut buckets, start) = (Buckets::default(), Instant::now());
        for _ in 0..4 {
            assert_eq!(buckets.take(SOURCE, RATE, start), Ok(()));
        }
        assert_eq!(buckets.take(SOURCE, RATE, start), Err(Duration::from_millis(500)));
        let later = start + Duration::from_millis(500);
        assert_eq!(buckets.take(SOURCE, RATE, later), Ok(()));
        assert!(buckets.take(SOURCE, RATE, later).is_err());
        let much_later = start + Duration::from_secs(60);
        let taken = (0..10).filter(|_| buckets.take(SOURCE, RATE, much_later).is_ok()).count();
        assert_eq!(taken, 4, "a bucket holds no more than its burst");
    }

    #[test]
    fn a_64_is_one_source_and_others_are_not_touched() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let host = |host: u128| IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | host));
        let taken = (0..100).filter(|index| buckets.take(host(*index), RATE, now).is_ok()).count();
        assert_eq!(taken, 4);
        assert_eq!(buckets.take(host(1 << 64), RATE, now), Ok(()));
    }

    #[test]
    fn many_sources_cost_no_more_than_a_table_and_free_nobody() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        while buckets.take(SOURCE, RATE, now).is_ok() {}
        for address in 0..20_000 {
            let _ = buckets.take(IpAddr::V4(Ipv4Addr::from_bits(address)), RATE, now);
        }
        assert_eq!(buckets.full_at.len(), SOURCES);
        assert!(buckets.take(SOURCE, RATE, now).is_err(), "the emptiest bucket is kept");
    }

    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const RATE: SourceRate = SourceRate { events: 2, period: Duration::from_secs(1), burst: 4 };
}
