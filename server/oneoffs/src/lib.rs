//! Commands that people run in apps: one-off dynos, further processes in running dynos, and the terminals of both.
//!
//! Lists of dynos and the routes that stop them are in `platform`, for dynos of all kinds.

mod handle;
mod one_offs;
mod routes;
mod start;
mod terminals;

pub use crate::{handle::OneOffs, routes::routes};
