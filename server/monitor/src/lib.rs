//! Turns samples into metrics.
//!
//! ```text
//! router's counters, cgroups ──→ Sample ──→ Store ──→ Series of Points ──→ charts, alerts
//!                              every 10 s    disk
//! ```
//!
//! Everything that is kept can be merged: two samples into a minute, sixty minutes into an hour, and
//! the percentiles of the hour are those of its requests, not a mean of means. So one store serves
//! every resolution, and a rule can be replayed over it.
//!
//! All functions that touch the disk are synchronous and short; async callers put them into
//! `spawn_blocking`.
//!
//! **Invariant:** nothing here takes samples, and nothing here knows which apps exist.

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

/// What everything here returns.
pub type Result<T> = anyhow::Result<T>;

#[cfg(test)]
mod tests;
