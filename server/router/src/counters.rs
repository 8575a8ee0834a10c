//! The router's counters as they are sent.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Counts since the router's start. If `since` is equal, the difference of two covers the time in between.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// When the router started.
    pub since: DateTime<Utc>,
    /// When these numbers were read.
    pub at: DateTime<Utc>,
    /// Open connections of clients.
    pub connections: u64,
    /// Router lines that could not be written.
    pub lines_dropped: u64,
    /// Connections that were evicted for others of their address.
    #[serde(default)]
    pub evicted: u64,
    /// Connections and requests that were rejected because of a limit.
    #[serde(default)]
    pub refused: u64,
    /// Malformed or ambiguous requests.
    #[serde(default)]
    pub malformed: u64,
    /// Every app in the table, by id.
    pub apps: Vec<AppCounters>,
}

/// Counts of one app. Requests count when they are finished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppCounters {
    /// The app's id in the table.
    pub app_id: Uuid,
    /// Requests in progress.
    pub inflight: u64,
    /// Finished requests by the first digit of the status that is logged: `1xx` first.
    pub statuses: [u64; 5],
    /// Finished requests by error code, `H12`.
    pub codes: BTreeMap<String, u64>,
    /// Bytes of bodies from clients.
    pub bytes_in: u64,
    /// Bytes of bodies to clients.
    pub bytes_out: u64,
    /// From the request's head to the response's last byte. Without websockets.
    pub service: Histogram,
}

impl AppCounters {
    /// All finished requests.
    pub fn requests(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// The counts since `earlier`, a sample of the same router. `inflight` is the current one.
    pub fn since(&self, earlier: &AppCounters) -> AppCounters {
        let mut statuses = self.statuses;
        for (now, then) in statuses.iter_mut().zip(earlier.statuses) {
            *now = now.saturating_sub(then);
        }
        let codes = self.codes.iter().filter_map(|(code, n)| {
            let grown = n.saturating_sub(earlier.codes.get(code).copied().unwrap_or(0));
            (grown > 0).then(|| (code.clone(), grown))
        });
        AppCounters {
            app_id: self.app_id,
            inflight: self.inflight,
            statuses,
            codes: codes.collect(),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            service: self.service.since(&earlier.service),
        }
    }
}

/// Durations in buckets that grow by a quarter of a power of two, so that a quantile is off by at
/// most a fifth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Bucket number and count, empty buckets left out, in order.
    pub buckets: Vec<(u16, u64)>,
}

/// Enough for nine years in microseconds.
pub(crate) const BUCKETS: usize = 192;

/// The bucket a duration falls into.
pub(crate) fn bucket(us: u64) -> usize {
    if us < 4 {
        return us as usize;
    }
    let octave = 63 - us.leading_zeros() as usize;
    let quarter = (us >> (octave - 2)) as usize & 3;
    (4 + (octave - 2) * 4 + quarter).min(BUCKETS - 1)
}

/// The largest duration in a bucket, in microseconds.
fn upper_us(bucket: u16) -> u64 {
    if bucket < 4 {
        return u64::from(bucket);
    }
    let (octave, quarter) = ((bucket - 4) / 4 + 2, (bucket - 4) % 4);
    ((5 + u64::from(quarter)) << (octave - 2)) - 1
}

impl Histogram {
    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, n)| n).sum()
    }

    /// The quantile `q` (0.95). `None` without any.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, n) in &self.buckets {
            seen += n;
            if seen >= wanted {
                return Some(Duration::from_micros(upper_us(*bucket)));
            }
        }
        None
    }

    /// The counts since `earlier`.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before: BTreeMap<u16, u64> = earlier.buckets.iter().copied().collect();
        let grown = self.buckets.iter().filter_map(|(bucket, n)| {
            let grown = n.saturating_sub(before.get(bucket).copied().unwrap_or(0));
            (grown > 0).then_some((*bucket, grown))
        });
        Histogram { buckets: grown.collect() }
    }

    /// Adds the counts of another app or time.
    pub fn add(&mut self, other: &Histogram) {
        let mut all: BTreeMap<u16, u64> = self.buckets.iter().copied().collect();
        for (bucket, n) in &other.buckets {
            *all.entry(*bucket).or_default() += n;
        }
        self.buckets = all.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_within_its_bucket_and_buckets_are_narrow() {
        let mut last = 0;
        for us in (0..5_000).chain((0..50).map(|n| 5_000 * (1u64 << (n / 2)) + n)) {
            let found = bucket(us);
            let upper = upper_us(found as u16);
            assert!(us <= upper, "{us} > {upper}");
            assert!(upper <= us + us / 4 + 1, "{us} << {upper}");
            if us < 5_000 {
                assert!(found >= last);
                last = found;
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_and_differences() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for us in [1_000u64, 1_000, 1_000, 100_000] {
            histogram.add(&Histogram { buckets: vec![(bucket(us) as u16, 1)] });
        }
        let p50 = histogram.quantile(0.5).expect("it is not empty");
        let p99 = histogram.quantile(0.99).expect("it is not empty");
        assert!(p50.as_micros() >= 1_000 && p50.as_micros() < 1_250);
        assert!(p99.as_micros() >= 100_000 && p99.as_micros() < 125_000);
        assert_eq!(histogram.since(&histogram).count(), 0);
        assert_eq!(histogram.since(&Histogram::default()), histogram);
    }
}
