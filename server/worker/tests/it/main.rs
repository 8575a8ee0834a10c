//! Workers on a real machine: what they can do, and what they cannot. Needs root.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod hostile_tenant;
mod life;
mod tasks;
mod world;

worker::worker_before_main!(tasks::list);
