//! Attacks by somebody who can push to one app, with real git against an entire platform, by target.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod branches;
mod inside;
mod leftovers;
mod memory;
mod other_apps;
mod pages;
mod quota;
mod strays;
mod tokens;
#[path = "../world/mod.rs"]
mod world;
