//! The process driver against real processes, as root.

// What helps tests is as free to panic as they are.
#![allow(clippy::unwrap_used)]

mod confinement;
mod hostile_tenant;
mod life;
mod limits;
mod network;
mod world;
