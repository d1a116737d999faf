//! When a request is sent again, and when it is given up.
//!
//! Implements RFC 8489 section 6.2.1: after RTO, 2 RTO, 4 RTO ... until Rc requests are sent;
//! the last one is given Rm times RTO. Over a stream (section 6.2.2) the request is sent once, and
//! waited for as long as all of that takes: Ti is 39.5 s by default.

use std::time::Duration;

/// The timing of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// RTO: the wait behind the first request.
    pub rto: Duration,
    /// Rc: how often the request is sent; at least once.
    pub requests: u32,
    /// Rm: the wait behind the last request, in RTOs.
    pub last: u32,
}

impl Schedule {
    /// The defaults of the RFC: 7 requests, given up after 39.5 s.
    pub const RFC_8489: Self = Self { rto: Duration::from_millis(500), requests: 7, last: 16 };

    /// For a server that is near: 5 requests, given up after 7.75 s.
    pub const NEAR: Self = Self { rto: Duration::from_millis(250), requests: 5, last: 16 };

    /// One request, which is given so long.
    #[must_use]
    pub const fn once(wait: Duration) -> Self {
        Self { rto: wait, requests: 1, last: 1 }
    }

    /// Returns how long to wait behind each request that is sent.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
        let last = self.requests.max(1) - 1;
        (0..=last).map(move |sent| {
            let factor = if sent == last { self.last } else { 2_u32.saturating_pow(sent) };
            self.rto.saturating_mul(factor)
        })
    }

    /// Returns how long all the waits take: Ti, where the request is sent only once.
    #[must_use]
    pub fn total(self) -> Duration {
        self.waits().fold(Duration::ZERO, Duration::saturating_add)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::NEAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_schedule_sends_at_the_times_of_the_rfc() {
        let waits: Vec<_> = Schedule::RFC_8489.waits().map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 8_000]);
        assert_eq!(Schedule::RFC_8489.total(), Duration::from_millis(39_500));
    }

    #[test]
    fn every_schedule_sends_at_least_once_and_ends() {
        let wait = Duration::from_millis(3);
        assert_eq!(Schedule::once(wait).waits().collect::<Vec<_>>(), [wait]);
        let none = Schedule { requests: 0, ..Schedule::NEAR };
        assert_eq!(none.waits().count(), 1);
        let long = Schedule { rto: Duration::MAX, requests: 40, last: u32::MAX };
        assert_eq!((long.waits().count(), long.total()), (40, Duration::MAX));
    }
}
