//! Observing apps: logs, metrics and statuses for users, and `/live`, which pushes updates.
//!
//! Storing lines and samples is not here: `platform` reads the spools, and provides the histories that both areas use.

mod handle;
mod lines;
mod live;
mod log_drains;
mod log_lines;
mod log_sessions;
mod metrics;
mod outputs;
mod retention;
mod routes;
mod start;
mod statuses;

pub use crate::{handle::Observe, routes::routes};
