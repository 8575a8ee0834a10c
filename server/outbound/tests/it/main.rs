//! Requests to servers that misbehave, and to addresses that must not be asked.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod answers;
mod hostile_tenant;
mod servers;
