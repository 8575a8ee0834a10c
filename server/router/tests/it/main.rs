//! The router against real clients and real backends, over TCP and Unix sockets.

#![allow(clippy::unwrap_used, reason = "a test that meets None has failed")]

mod control;
mod draining;
mod errors;
mod files;
mod headers;
mod hostile_tenant;
mod limits;
mod platform_hosts;
mod proxies;
mod serving;
mod support;
mod switching;
mod tunnels;
