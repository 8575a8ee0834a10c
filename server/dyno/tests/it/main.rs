//! The process driver against real processes, as root.

// Helpers may panic, like the tests themselves.
#![allow(clippy::unwrap_used)]

mod attached;
mod confinement;
mod hostile_tenant;
mod life;
mod limits;
mod network;
mod world;
