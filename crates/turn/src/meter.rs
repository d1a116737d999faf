//! Bandwidth of an allocation, its user, the realm and the process.
//!
//! RFC 8656 section 5 lets a server limit bandwidth by dropping. Payload bytes,
//! each direction on its own; excess is dropped and never queued. The bucket of
//! an allocation is its own; the others are shared, and what is taken out of
//! them is leased 10 ms at a time, so that a packet seldom touches shared memory.

use std::time::{Duration, Instant};

use crate::buckets::{Buckets, Purpose};
use crate::rate::{Bandwidth, Bucket};
use crate::settings::Limits;

/// Which way payload flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to a peer.
    Up,
    /// From a peer to the client.
    Down,
}

/// The name of the limit that was used up.
pub(crate) type LimitName = &'static str;

const LEASE: Duration = Duration::from_millis(10);

/// What an allocation has left, of its own and of what it shares.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    up: Flow,
    down: Flow,
}

#[derive(Debug, Default)]
struct Flow {
    own: Option<Bucket>,
    user: Lease,
    realm: Lease,
    process: Lease,
}

/// Bytes taken out of a shared bucket in advance.
#[derive(Debug, Default)]
struct Lease {
    bytes: u64,
    empty_until: Option<Instant>,
}

impl Meter {
    /// Whether any limit is on, so that an allocation needs a meter at all.
    pub(crate) const fn is_needed(limits: &Limits) -> bool {
        limits.bandwidth_per_allocation.is_some()
            || limits.bandwidth_per_user.is_some()
            || limits.bandwidth_per_realm.is_some()
            || limits.bandwidth.is_some()
    }

    /// Counts `bytes`, or names the limit that they would exceed and counts nothing.
    pub(crate) fn admit(
        &mut self,
        direction: Direction,
        bytes: usize,
        user: u64,
        limits: &Limits,
        shared: &Buckets,
        now: Instant,
    ) -> Result<(), LimitName> {
        let bytes = bytes as u64;
        let (flow, purposes) = match direction {
            Direction::Up => {
                (&mut self.up, [Purpose::UserUp, Purpose::RealmUp, Purpose::ProcessUp])
            }
            Direction::Down => {
                (&mut self.down, [Purpose::UserDown, Purpose::RealmDown, Purpose::ProcessDown])
            }
        };
        if let Some(limit) = limits.bandwidth_per_allocation {
            let bucket = flow.own.get_or_insert_with(|| Bucket::full(limit.burst(), now));
            if !bucket.take(bytes, limit.bytes_per_second, limit.burst(), now) {
                return Err("bandwidth_per_allocation");
            }
        }
        let [of_user, of_realm, of_process] = purposes;
        let mut shares = [
            (limits.bandwidth_per_user, &mut flow.user, of_user, user, "bandwidth_per_user"),
            (limits.bandwidth_per_realm, &mut flow.realm, of_realm, 0, "bandwidth_per_realm"),
            (limits.bandwidth, &mut flow.process, of_process, 0, "bandwidth"),
        ];
        let refused = shares.iter_mut().position(|(limit, lease, purpose, key, _)| {
            limit.is_some_and(|limit| {
                !lease.take(bytes, limit, now, |bytes| {
                    shared.take_bytes(*purpose, *key, limit, bytes, now)
                })
            })
        });
        let Some(refused) = refused else { return Ok(()) };
        // A stream asks again for the same bytes: what one limit refuses costs the others nothing.
        for (_, lease, ..) in shares.iter_mut().take(refused).filter(|(limit, ..)| limit.is_some())
        {
            lease.bytes += bytes;
        }
        if let (Some(_), Some(own)) = (limits.bandwidth_per_allocation, &mut flow.own) {
            own.put_back(bytes);
        }
        Err(shares.get(refused).map_or("bandwidth", |(.., name)| name))
    }
}

impl Lease {
    fn take(
        &mut self,
        bytes: u64,
        limit: Bandwidth,
        now: Instant,
        lease: impl Fn(u64) -> bool,
    ) -> bool {
        if self.bytes < bytes {
            if self.empty_until.is_some_and(|until| now < until) {
                return false;
            }
            let missing = bytes - self.bytes;
            let share =
                u64::try_from(u128::from(limit.bytes_per_second) * LEASE.as_millis() / 1_000)
                    .unwrap_or(missing);
            let granted = [share.max(missing), missing].into_iter().find(|&bytes| lease(bytes));
            let Some(granted) = granted else {
                self.empty_until = Some(now + LEASE);
                return false;
            };
            self.bytes += granted;
            self.empty_until = None;
        }
        self.bytes -= bytes;
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    /// Bytes that pass within `seconds`, when far more is offered.
    fn passed(limits: &Limits, meters: &mut [Meter], seconds: u64) -> u64 {
        let start = Instant::now();
        let shared = Buckets::new(start);
        let mut bytes = 0;
        for millisecond in 0..seconds * 1_000 {
            let now = start + Duration::from_millis(millisecond);
            for meter in &mut *meters {
                for _ in 0..10 {
                    if meter.admit(Direction::Up, 1_000, 1, limits, &shared, now).is_ok() {
                        bytes += 1_000;
                    }
                }
            }
        }
        bytes
    }

    fn limit() -> Option<Bandwidth> {
        Some(Bandwidth { bytes_per_second: 1_000_000 })
    }

    #[test]
    fn allocation_gets_its_rate_and_one_burst() {
        let limits = Limits { bandwidth_per_allocation: limit(), ..Limits::default() };
        let bytes = passed(&limits, &mut [Meter::default()], 10);
        assert!((10_000_000..=10_260_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn allocations_of_one_user_share_its_rate() {
        let limits = Limits { bandwidth_per_user: limit(), ..Limits::default() };
        let mut meters: Vec<_> = (0..4).map(|_| Meter::default()).collect();
        let bytes = passed(&limits, &mut meters, 10);
        assert!((9_500_000..=10_400_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn directions_do_not_share() {
        let limits = Limits { bandwidth_per_allocation: limit(), ..Limits::default() };
        let start = Instant::now();
        let shared = Buckets::new(start);
        let mut meter = Meter::default();
        while meter.admit(Direction::Up, 1_000, 1, &limits, &shared, start).is_ok() {}
        assert!(meter.admit(Direction::Down, 1_000, 1, &limits, &shared, start).is_ok());
    }
}
