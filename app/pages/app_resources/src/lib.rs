//! The resources of an app: its formation and dynos.
#![recursion_limit = "512"]

mod one_offs;
mod resources;

pub use crate::resources::ResourcesPage;
