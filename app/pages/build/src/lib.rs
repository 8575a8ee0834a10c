//! The page of a build.
#![recursion_limit = "512"]

mod build;

pub use crate::build::BuildPage;
