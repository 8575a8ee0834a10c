//! What somebody who may push to one app can try, with real git against a whole platform, by what
//! they try to reach.
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
