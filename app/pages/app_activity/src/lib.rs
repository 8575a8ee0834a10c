//! The activity of an app: its releases and builds.
#![recursion_limit = "512"]

mod activity;
mod compare;
mod release_phase;

pub use crate::activity::ActivityPage;
