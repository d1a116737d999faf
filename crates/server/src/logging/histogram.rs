//! Latencies as histograms: fixed arrays of atomics, filled by shards and read by whoever scrapes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use turn_admin::{LATENCY_BOUNDS, Latencies};

/// How long something took, each time.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// It took this long once more.
    pub fn add(&self, took: Duration) {
        if let Some(bucket) = self.buckets.get(Latencies::bucket(took)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What it holds now.
    pub fn latencies(&self) -> Latencies {
        let mut latencies = Latencies::default();
        for (count, bucket) in latencies.counts.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        latencies.sum = Duration::from_nanos(nanoseconds).as_secs_f64();
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_counted_and_summed() {
        let histogram = Histogram::default();
        for micros in [50, 100, 101, 60_000_000] {
            histogram.add(Duration::from_micros(micros));
        }
        let latencies = histogram.latencies();
        assert_eq!(latencies.counts.first(), Some(&2));
        assert_eq!(latencies.counts.get(1), Some(&1));
        assert_eq!(latencies.counts.last(), Some(&1));
        assert!((latencies.sum - 60.000_251).abs() < 1e-9, "{}", latencies.sum);
    }
}
