//! The list of apps.
#![recursion_limit = "512"]

mod apps;
mod first_run;

pub use crate::apps::AppsPage;
