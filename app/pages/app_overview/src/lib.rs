//! The overview of an app.
#![recursion_limit = "512"]

mod overview;

pub use crate::overview::{OverviewPage, RECENT};
