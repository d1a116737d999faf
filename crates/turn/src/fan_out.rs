//! How many peers an allocation speaks to, and how quickly it finds new ones.
//!
//! A relay must not be a port scanner: `new_peers` bounds the rate of new peer
//! transport addresses, `peers_per_allocation` their number `[H22]`.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::rate::{Bucket, Rate};
use crate::realm::RealmLimits;

/// The peer transport addresses that an allocation has sent to.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    peers: Vec<SocketAddr>,
    bucket: Option<Bucket>,
}

/// Which limit said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooMany {
    /// `peers_per_allocation`.
    Peers,
    /// `new_peers`.
    NewPeers,
}

impl TooMany {
    /// The key of the limit.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Peers => "peers_per_allocation",
            Self::NewPeers => "new_peers",
        }
    }
}

/// Peers remembered where `peers_per_allocation` is off: beyond that all of
/// them count as new again.
const REMEMBERED: usize = 4_096;

impl FanOut {
    /// Counts `peer` if it is new. When the list is full, peers whose
    /// permission has lapsed make room.
    pub(crate) fn admit(
        &mut self,
        peer: SocketAddr,
        limits: &RealmLimits,
        now: Instant,
        is_permitted: impl Fn(IpAddr) -> bool,
    ) -> Result<(), TooMany> {
        if self.peers.contains(&peer) {
            return Ok(());
        }
        if let Some(most) = limits.peers_per_allocation
            && self.peers.len() >= most as usize
        {
            self.peers.retain(|peer| is_permitted(peer.ip()));
            if self.peers.len() >= most as usize {
                return Err(TooMany::Peers);
            }
        }
        // [H22]
        if let Some(rate) = limits.new_peers
            && !self.take(rate, now)
        {
            return Err(TooMany::NewPeers);
        }
        if limits.peers_per_allocation.is_some() || limits.new_peers.is_some() {
            if self.peers.len() >= REMEMBERED {
                self.peers.clear();
            }
            self.peers.push(peer);
        }
        Ok(())
    }

    /// The peers, oldest first.
    pub(crate) fn peers(&self) -> &[SocketAddr] {
        &self.peers
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        // In units of nanoseconds, one interval a peer: exact for slow rates.
        let nanos =
            |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let burst = nanos(rate.span());
        let bucket = self.bucket.get_or_insert_with(|| Bucket::full(burst, now));
        bucket.take(nanos(rate.interval), 1_000_000_000, burst, now)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn h22_scan_of_a_thousand_ports_stops_at_the_burst_and_at_the_cap() {
        let start = Instant::now();
        let limits = RealmLimits::default();
        let mut fan_out = FanOut::default();
        let reached = |fan_out: &mut FanOut, now| {
            (1..=1_000)
                .filter(|&port| fan_out.admit(peer(port), &limits, now, |_| true).is_ok())
                .count()
        };
        assert_eq!(reached(&mut fan_out, start), 64);
        assert_eq!(reached(&mut fan_out, start + Duration::from_secs(1)), 64 + 10);
        for second in 2..60 {
            reached(&mut fan_out, start + Duration::from_secs(second));
        }
        assert_eq!(reached(&mut fan_out, start + Duration::from_secs(61)), 256);
    }

    #[test]
    fn peers_without_a_permission_make_room_for_new_ones() {
        let start = Instant::now();
        let limits = RealmLimits {
            peers_per_allocation: Some(2),
            new_peers: None,
            ..RealmLimits::default()
        };
        let mut fan_out = FanOut::default();
        for port in 1..=2 {
            assert_eq!(fan_out.admit(peer(port), &limits, start, |_| true), Ok(()));
        }
        assert_eq!(fan_out.admit(peer(3), &limits, start, |_| true), Err(TooMany::Peers));
        assert_eq!(fan_out.admit(peer(3), &limits, start, |_| false), Ok(()));
    }
}
