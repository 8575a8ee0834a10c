//! Metrics as returned by queries.

use chrono::{DateTime, Utc};

use api::metrics::{MetricPoint, ProcessPoint};

use crate::Rollup;

/// The metrics of the interval that starts at `at`.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// A multiple of the series' step since the epoch.
    pub at: DateTime<Utc>,
    /// Sums, extremes, response times.
    pub rollup: Rollup,
}

/// Equally spaced points. Intervals without measurements have no point: a gap stays a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Start of the first interval, with or without a point.
    pub from: DateTime<Utc>,
    /// End of the last interval.
    pub to: DateTime<Utc>,
    /// Seconds per interval. More than requested if the store has no finer resolution.
    pub step: i64,
    /// In order of time.
    pub points: Vec<Point>,
}

impl Point {
    /// The quantile `q` of response times, in milliseconds.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        self.rollup.service.quantile_ms(q)
    }
}

impl From<&Point> for MetricPoint {
    fn from(point: &Point) -> MetricPoint {
        let rollup = &point.rollup;
        let processes = rollup.processes.iter().map(|(name, process)| {
            let wire = ProcessPoint {
                dynos: process.dynos().round() as u32,
                memory: process.memory() as u64,
                memory_max: process.memory_max,
                memory_quota: process.memory_quota,
                cpu: process.cpu(),
            };
            (name.clone(), wire)
        });
        MetricPoint {
            at: point.at,
            requests_2xx: rollup.statuses[0] + rollup.statuses[1],
            requests_3xx: rollup.statuses[2],
            requests_4xx: rollup.statuses[3],
            requests_5xx: rollup.statuses[4],
            errors: rollup.codes.clone(),
            p50_ms: point.quantile_ms(0.5),
            p95_ms: point.quantile_ms(0.95),
            p99_ms: point.quantile_ms(0.99),
            queue_max: rollup.queue_max,
            processes: processes.collect(),
        }
    }
}

/// A step, in seconds, that yields at most 400 points for a range.
pub fn step_for(from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
    let range = (to - from).num_seconds();
    let steps = [10, 60, 120, 300, 600, 1800, 3600, 7200];
    let fits = steps.into_iter().find(|step| range <= step * 400);
    fits.unwrap_or(range / 400 / 7200 * 7200 + 7200)
}
