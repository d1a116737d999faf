//! How long something took: a histogram with fixed bounds.

use std::time::Duration;

/// Upper bounds of the buckets, in seconds: from a handshake on a LAN to a client
/// that is about to give up. One more bucket takes what is longer.
pub const LATENCY_BOUNDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// A histogram over [`LATENCY_BOUNDS`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latencies {
    /// How many fell into each bucket, of that bucket alone.
    pub counts: [u64; LATENCY_BOUNDS.len() + 1],
    /// All of them together, in seconds.
    pub sum: f64,
}

impl Latencies {
    /// The index in [`counts`](Self::counts) of what took this long.
    pub fn bucket(took: Duration) -> usize {
        let seconds = took.as_secs_f64();
        LATENCY_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(LATENCY_BOUNDS.len())
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_the_last_bucket_has_none() {
        assert_eq!(Latencies::bucket(Duration::ZERO), 0);
        assert_eq!(Latencies::bucket(Duration::from_micros(100)), 0);
        assert_eq!(Latencies::bucket(Duration::from_micros(101)), 1);
        assert_eq!(Latencies::bucket(Duration::from_secs(60)), LATENCY_BOUNDS.len());
    }
}
