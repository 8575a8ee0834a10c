//! All UI components on one page, for development.
#![recursion_limit = "512"]

mod parts;

pub use crate::parts::PartsPage;
