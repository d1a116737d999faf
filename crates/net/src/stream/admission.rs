//! Who may connect, counted over the whole process: `connections_per_source`
//! and `accepts`. Touched at accept, at the end of a connection and at the hello
//! of a DTLS client only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use turn_engine::{Limits, Rate, SourcePrefix};

/// Shared by all shards.
#[derive(Debug)]
pub(crate) struct Admission {
    started: Instant,
    accepts: Bucket,
    /// The same rate for DTLS, so that neither takes the other's.
    handshakes: Bucket,
    /// Open connections by source. The map hashes with a secret, and holds no
    /// more than there are connections.
    sources: Mutex<HashMap<SourcePrefix, u32>>,
    /// Descriptors have run out before.
    was_exhausted: AtomicBool,
}

/// A token bucket: when it is full again, in nanoseconds since the start.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

/// How long a shard may go by a clock that it has read before, in nanoseconds.
const LAG: u64 = 1_000_000_000;

/// A connection's place among those of its source; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    source: Option<SourcePrefix>,
}

impl Admission {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            accepts: Bucket::default(),
            handshakes: Bucket::default(),
            sources: Mutex::default(),
            was_exhausted: AtomicBool::new(false),
        }
    }

    /// Takes one unit of `accepts`, or says how long to wait for it.
    pub(crate) fn take_accept(&self, rate: Option<Rate>, now: Instant) -> Result<(), Duration> {
        let Some(rate) = rate else { return Ok(()) };
        self.accepts.take(rate, self.clock(now))
    }

    /// Whether a DTLS handshake may begin.
    pub(crate) fn may_shake_hands(&self, rate: Option<Rate>, now: Instant) -> bool {
        rate.is_none_or(|rate| self.handshakes.next(rate, self.clock(now)).is_ok())
    }

    /// A DTLS handshake has begun.
    pub(crate) fn note_handshake(&self, rate: Option<Rate>, now: Instant) {
        if let Some(rate) = rate {
            // Of two shards at the last unit both have it.
            let _ = self.handshakes.take(rate, self.clock(now));
        }
    }

    /// A place for a connection from `source`, or `None` when it has all that
    /// `connections_per_source` gives it.
    pub(crate) fn admit(self: &Arc<Self>, limits: &Limits, source: IpAddr) -> Option<Permit> {
        // [H15] Counted even where nothing limits it, since a reload may bring a limit.
        let limit = limits.connections_per_source.filter(|_| !limits.exempts(source));
        let key = SourcePrefix::of(source);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let open = sources.entry(key).or_insert(0);
        if limit.is_some_and(|limit| *open >= limit) {
            if *open == 0 {
                sources.remove(&key);
            }
            return None;
        }
        *open += 1;
        Some(Permit { admission: Arc::clone(self), source: Some(key) })
    }

    /// Whether descriptors have run out for the first time.
    pub(crate) fn is_first_exhaustion(&self) -> bool {
        !self.was_exhausted.swap(true, Ordering::Relaxed)
    }

    /// A place that is not counted.
    pub(crate) fn unbound(self: &Arc<Self>) -> Permit {
        Permit { admission: Arc::clone(self), source: None }
    }

    fn clock(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.started))
    }
}

impl Bucket {
    /// Takes one unit, or says how long to wait for it.
    fn take(&self, rate: Rate, now: u64) -> Result<(), Duration> {
        loop {
            let (seen, next) = self.next(rate, now)?;
            let relaxed = Ordering::Relaxed;
            if self.0.compare_exchange_weak(seen, next, relaxed, relaxed).is_ok() {
                return Ok(());
            }
        }
    }

    /// What the bucket holds, and what it would once one more is taken.
    fn next(&self, rate: Rate, now: u64) -> Result<(u64, u64), Duration> {
        let span = nanos(rate.interval.saturating_mul(rate.burst.max(1)));
        let seen = self.0.load(Ordering::Relaxed);
        // Further ahead than this rate can be, and than two shards' clocks can be apart: it was
        // another rate until a reload, and this one begins with its burst.
        let empty = now.saturating_add(span);
        let full_at = if seen > empty.saturating_add(LAG) { now } else { seen.max(now) };
        let next = full_at.saturating_add(nanos(rate.interval));
        let over = next.saturating_sub(empty);
        if over > 0 { Err(Duration::from_nanos(over)) } else { Ok((seen, next)) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(key) = self.source else { return };
        let mut sources = self.admission.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = sources.get_mut(&key) {
            *open -= 1;
            if *open == 0 {
                sources.remove(&key);
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    #[test]
    fn h15_source_gets_its_connections_and_gives_them_back() {
        let admission = Arc::new(Admission::new(Instant::now()));
        let limits = Limits { connections_per_source: Some(2), ..Limits::default() };
        let admit = |source: &str| admission.admit(&limits, source.parse().unwrap());
        let first = admit("192.0.2.1");
        let second = admit("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(admit("192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        drop(second);
        assert!(admission.sources.lock().unwrap().is_empty());
    }

    #[test]
    fn h15_ipv6_sources_are_counted_by_64_bits() {
        let admission = Arc::new(Admission::new(Instant::now()));
        let limits = Limits { connections_per_source: Some(1), ..Limits::default() };
        let kept = admission.admit(&limits, "2001:db8::1".parse().unwrap());
        assert!(kept.is_some());
        assert!(admission.admit(&limits, "2001:db8::ffff:2".parse().unwrap()).is_none());
        assert!(admission.admit(&limits, "2001:db8:0:1::1".parse().unwrap()).is_some());
    }

    #[test]
    fn exempt_sources_are_not_counted() {
        let admission = Arc::new(Admission::new(Instant::now()));
        let exempt: IpAddr = "192.0.2.1".parse().unwrap();
        let limits = Limits {
            connections_per_source: Some(0),
            exempt_sources: vec![exempt.into()],
            ..Limits::default()
        };
        assert!(admission.admit(&limits, exempt).is_some());
        assert!(admission.admit(&limits, "192.0.2.2".parse().unwrap()).is_none());
    }

    #[test]
    fn accepts_have_a_burst_and_then_a_rate() {
        let start = Instant::now();
        let admission = Admission::new(start);
        let rate = Some(Rate::per_second(100, 50));
        let taken = |now| (0..500).filter(|_| admission.take_accept(rate, now).is_ok()).count();
        assert_eq!(taken(start), 50);
        let wait = admission.take_accept(rate, start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(10));
        assert!(admission.take_accept(rate, start + wait).is_ok());
        assert_eq!(taken(start + Duration::from_secs(60)), 50);
        assert!(admission.take_accept(None, start).is_ok());
    }

    #[test]
    fn h15_limit_that_a_reload_brings_counts_who_is_there_already() {
        let admission = Arc::new(Admission::new(Instant::now()));
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let off = Limits { connections_per_source: None, ..Limits::default() };
        let kept: Vec<_> = (0..3).map(|_| admission.admit(&off, source).unwrap()).collect();
        let two = Limits { connections_per_source: Some(2), ..Limits::default() };
        assert!(admission.admit(&two, source).is_none());
        drop(kept);
        assert!(admission.admit(&two, source).is_some());
    }

    #[test]
    fn faster_rate_of_a_reload_does_not_wait_for_the_slower_one() {
        let start = Instant::now();
        let admission = Admission::new(start);
        let slow = Some(Rate::new(1, Duration::from_secs(60), 10));
        while admission.take_accept(slow, start).is_ok() {}
        let fast = Some(Rate::per_second(100, 10));
        let taken = (0..500).filter(|_| admission.take_accept(fast, start).is_ok()).count();
        assert_eq!(taken, 10);
        assert!(admission.take_accept(fast, start + Duration::from_millis(10)).is_ok());
    }
}
