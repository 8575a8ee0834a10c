//! Requests to misbehaving servers, and to forbidden addresses.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod answers;
mod hostile_tenant;
mod servers;
