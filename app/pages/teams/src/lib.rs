//! Teams: the list, and the page of one.
#![recursion_limit = "512"]

mod team;
mod teams;

pub use crate::{team::TeamPage, teams::TeamsPage};
