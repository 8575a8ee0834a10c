//! Aggregates samples into metrics.
//!
//! ```text
//! router's counters, cgroups ──→ Sample ──→ Store ──→ Series of Points ──→ charts, alerts
//!                              every 10 s    disk
//! ```
//!
//! All stored data can be merged: samples into a minute, sixty minutes into an hour, and the percentiles of the hour
//! are those of its requests, not a mean of means. So one store serves every resolution, and alert rules can be
//! evaluated over past data.
//!
//! All functions that access the disk are synchronous and short; async callers wrap them in `spawn_blocking`.
//!
//! **Invariant:** nothing here takes samples or knows which apps exist.

mod codec;
mod days;
mod histogram;
mod point;
mod recent;
mod rollup;
mod sample;
mod store;

pub use histogram::Histogram;
pub use point::{Point, Series, step_for};
pub use recent::LastHour;
pub use rollup::{ProcessRollup, Rollup};
pub use sample::{ProcessSample, Sample};
pub use store::{Limits, Store};

/// The result type of this crate.
pub type Result<T> = anyhow::Result<T>;

#[cfg(test)]
mod tests;
