//! Histograms of durations that can be merged across time and dynos.

use std::collections::BTreeMap;

/// Counts of durations in 192 buckets, four per power of two. A percentile is off by a quarter at most, and by
/// little with many samples.
///
/// Buckets 0 to 3 hold 0 to 3 µs; then each power of two is divided into four equal parts. The router uses the
/// same buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Counts by bucket number; none is zero.
    pub buckets: BTreeMap<u16, u64>,
}

impl Histogram {
    /// The last bucket, which also holds everything longer.
    pub const LAST: u16 = 191;

    /// Counts in the router's format: pairs of bucket and count.
    pub fn from_buckets(pairs: impl IntoIterator<Item = (u16, u64)>) -> Histogram {
        let mut histogram = Histogram::default();
        for (bucket, count) in pairs {
            histogram.add(bucket, count);
        }
        histogram
    }

    /// Counts one duration.
    pub fn count_us(&mut self, us: u64) {
        self.add(bucket(us), 1);
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.buckets {
            self.add(*bucket, *count);
        }
    }

    /// The number of durations counted.
    pub fn total(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// The quantile `q` (0.95) in milliseconds. `None` if empty.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let rank = (self.total() as f64 * q).max(1.0);
        let mut seen = 0.0;
        for (bucket, count) in &self.buckets {
            let count = *count as f64;
            if seen + count >= rank {
                // Interpolates linearly within the bucket.
                let share = (rank - seen) / count;
                let (from, to) = bounds_us(*bucket);
                return Some((from + (to - from) * share) / 1000.0);
            }
            seen += count;
        }
        self.buckets.last_key_value().map(|(last, _)| bounds_us(*last).1 / 1000.0)
    }

    fn add(&mut self, bucket: u16, count: u64) {
        if count > 0 {
            *self.buckets.entry(bucket.min(Histogram::LAST)).or_default() += count;
        }
    }
}

fn bucket(us: u64) -> u16 {
    if us < 4 {
        return us as u16;
    }
    let octave = 63 - us.leading_zeros() as u16;
    let quarter = (us >> (octave - 2)) as u16 & 3;
    (4 + (octave - 2) * 4 + quarter).min(Histogram::LAST)
}

/// The bounds of a bucket, in microseconds.
fn bounds_us(bucket: u16) -> (f64, f64) {
    if bucket < 4 {
        return (f64::from(bucket), f64::from(bucket) + 1.0);
    }
    let (octave, quarter) = ((bucket - 4) / 4, (bucket - 4) % 4);
    let width = 2f64.powi(octave.into());
    let from = f64::from(4 + quarter) * width;
    (from, from + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket() {
        let powers = (0..47).flat_map(|n| [(1u64 << n) - 1, 1 << n, (1 << n) + 1, 3 << n]);
        for us in (0..10_000).chain(powers) {
            let (from, to) = bounds_us(bucket(us));
            assert!(from <= us as f64 && (us as f64) < to, "{us} in {from}..{to}");
        }
        assert_eq!(bucket(u64::MAX), Histogram::LAST);
    }

    #[test]
    fn percentiles_are_near_the_exact_ones_also_after_merging() {
        let mut seed = 1u64;
        let mut all = Vec::new();
        let mut merged = Histogram::default();
        for part in 1..6u64 {
            let mut one = Histogram::default();
            for _ in 0..2_000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Long-tailed, and different in each part.
                let us = part * 10_000 / (1 + (seed >> 40) % 100) * (1 + (seed >> 33) % 7);
                one.count_us(us);
                all.push(us);
            }
            merged.merge(&one);
        }
        all.sort_unstable();
        assert_eq!(merged.total(), 10_000);
        for q in [0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let exact = all[((all.len() as f64 * q).ceil() as usize).max(1) - 1] as f64 / 1000.0;
            let found = merged.quantile_ms(q).expect("it is not empty");
            assert!((found - exact).abs() <= exact * 0.25 + 0.001, "{q}: {found} for {exact}");
        }
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }

    #[test]
    fn the_routers_form_is_taken() {
        let histogram = Histogram::from_buckets([(3, 2), (500, 1), (7, 0)]);
        assert_eq!(histogram.buckets, BTreeMap::from([(3, 2), (Histogram::LAST, 1)]));
    }
}
