//! The router against real clients and real backends, over TCP and Unix sockets.

mod control;
mod errors;
mod headers;
mod limits;
mod platform_hosts;
mod serving;
mod support;
mod switching;
mod tunnels;
