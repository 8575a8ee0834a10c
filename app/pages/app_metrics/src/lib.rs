//! The metrics of an app.
#![recursion_limit = "512"]

mod metrics;

pub use crate::metrics::MetricsPage;
