//! How often something took how long, in a fixed space.
//!
//! Buckets are 64 to each power of two, so a figure is at most 1.6 % above the truth and never
//! below it; the greatest is exact.

use serde::{Deserialize, Serialize};

/// Counts of nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

/// What a histogram is reduced to, in microseconds; all zero where nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many were counted.
    pub count: u64,
    /// Half of them took at most this.
    pub p50: f64,
    /// Nine of ten took at most this.
    pub p90: f64,
    /// Ninety-nine of a hundred took at most this.
    pub p99: f64,
    /// Nine hundred and ninety-nine of a thousand took at most this.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// Buckets to each power of two, as a power of two.
const BITS: u32 = 6;
const SUB_BUCKETS: u64 = 1 << BITS;

/// Values below 64 have a bucket each, the 58 powers of two above have 64 buckets each.
const BUCKETS: usize = 59 << BITS;

impl Histogram {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }

    /// Counts `times` that took so many nanoseconds.
    pub fn add(&mut self, nanoseconds: u64, times: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanoseconds)) {
            *bucket += times;
            self.count += times;
            self.max = self.max.max(nanoseconds);
        }
    }

    /// How many were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The nanoseconds that `percent` of all took at most; 0 where nothing was counted.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> u64 {
        self.per_mille(percent * 10)
    }

    /// The nanoseconds that so many of a thousand took at most; 0 where nothing was counted.
    #[must_use]
    pub fn per_mille(&self, of_a_thousand: u64) -> u64 {
        // The rank of the last one that belongs to them, from 1.
        let rank = (u128::from(self.count) * u128::from(of_a_thousand)).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return highest_of(index).min(self.max);
            }
        }
        self.max
    }

    /// What was counted since it was like this; its maximum is that of both together.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let both = self.buckets.iter().zip(&earlier.buckets);
        Self {
            buckets: both.map(|(now, then)| now.saturating_sub(*then)).collect(),
            count: self.count.saturating_sub(earlier.count),
            max: self.max,
        }
    }

    /// The figures that are told.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.count,
            p50: microseconds(self.percentile(50)),
            p90: microseconds(self.percentile(90)),
            p99: microseconds(self.percentile(99)),
            p999: microseconds(self.per_mille(999)),
            max: microseconds(self.max),
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

fn bucket_of(value: u64) -> usize {
    let power = value.max(1).ilog2();
    let index = match power.checked_sub(BITS) {
        None => value,
        Some(shift) => u64::from(shift + 1) * SUB_BUCKETS + (value >> shift) - SUB_BUCKETS,
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The highest value that falls into a bucket.
fn highest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match (bucket / SUB_BUCKETS).checked_sub(1) {
        None => bucket,
        Some(shift) => {
            let next = u128::from(bucket % SUB_BUCKETS + SUB_BUCKETS + 1) << shift;
            u64::try_from(next - 1).unwrap_or(u64::MAX)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "half a microsecond in 142 years")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_one_to_a_thousand_are_what_they_must_be() {
        let mut histogram = Histogram::new();
        (1..=1_000).rev().for_each(|microseconds| histogram.add(microseconds * 1_000, 1));
        let told = histogram.percentiles();
        assert_eq!(told.count, 1_000);
        let truths = [(told.p50, 500.0), (told.p90, 900.0), (told.p99, 990.0), (told.p999, 999.0)];
        for (told, truth) in truths {
            assert!((truth..=truth * 1.016).contains(&told), "{told} for {truth}");
        }
        assert_eq!(told.max.to_bits(), 1_000.0_f64.to_bits());
    }

    #[test]
    fn one_outlier_in_a_hundred_is_not_in_p99_and_two_are() {
        let mut histogram = Histogram::new();
        histogram.add(10, 99);
        histogram.add(1_000_000, 1);
        assert_eq!((histogram.percentile(99), histogram.percentile(100)), (10, 1_000_000));
        histogram.add(1_000_000, 1);
        assert_eq!(histogram.percentile(99), 1_000_000);
    }

    #[test]
    fn what_was_counted_before_is_taken_out() {
        let mut histogram = Histogram::new();
        histogram.add(1_000_000, 50);
        let earlier = histogram.clone();
        histogram.add(10, 99);
        histogram.add(20, 1);
        let since = histogram.since(&earlier);
        assert_eq!((since.count(), since.percentile(99), since.percentile(100)), (100, 10, 20));
        assert_eq!(histogram.since(&histogram), Histogram { max: 1_000_000, ..Histogram::new() });
    }

    #[test]
    fn nothing_counted_is_all_zero() {
        assert_eq!(Histogram::new().percentiles(), Percentiles::default());
    }

    #[test]
    fn every_value_lies_in_its_bucket_and_no_bucket_is_wide() {
        let mut previous = 0;
        for power in 0..64 {
            for value in [1_u64 << power, (1 << power) + (1 << power) / 3, u64::MAX >> power] {
                let bucket = bucket_of(value);
                let highest = highest_of(bucket);
                assert!(highest >= value && highest - value <= value / 64, "{value}");
                assert_eq!(bucket_of(highest), bucket);
                assert!(bucket < BUCKETS);
            }
            assert!(bucket_of(1 << power) >= previous);
            previous = bucket_of(1 << power);
        }
    }
}
