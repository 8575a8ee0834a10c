//! The log of an app.
#![recursion_limit = "512"]

mod logs;

pub use crate::logs::{LogsPage, newest_lines};
