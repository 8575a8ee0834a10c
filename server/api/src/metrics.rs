//! *Wharf:* metrics of the router and the dynos' cgroups.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `GET /apps/{app}/metrics`: equally spaced points; a gap is a missing point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Seconds between two points.
    pub step: i64,
    pub points: Vec<MetricPoint>,
    /// Events in the range, to be marked on charts.
    #[serde(default)]
    pub events: Vec<MetricEvent>,
}

/// One interval of `step` seconds that starts at `at`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    pub at: DateTime<Utc>,
    /// Requests by status class.
    pub requests_2xx: u64,
    pub requests_3xx: u64,
    pub requests_4xx: u64,
    pub requests_5xx: u64,
    /// Router errors by code: `H12` -> 3.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// Milliseconds; `None` without requests.
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Requests queued or running: the maximum of all samples.
    #[serde(default)]
    pub queue_max: u64,
    /// By process type.
    #[serde(default)]
    pub processes: BTreeMap<String, ProcessPoint>,
}

/// The usage of the dynos of one process type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessPoint {
    pub dynos: u32,
    /// Bytes, mean over the interval and the dynos.
    pub memory: u64,
    /// Bytes of the largest.
    pub memory_max: u64,
    /// Bytes.
    pub memory_quota: u64,
    /// Mean cores: 0.25 is a quarter of one.
    pub cpu: f64,
}

/// An event to mark on a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricEvent {
    pub at: DateTime<Utc>,
    /// `release`, `config`, `scale`, `restart`, `crash`, `error`.
    pub kind: String,
    pub text: String,
    /// A short label, if there is one: `v12` for a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The range of points.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MetricsQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    /// Seconds between two points; chosen automatically if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
}
