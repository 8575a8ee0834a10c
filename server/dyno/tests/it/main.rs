//! The process driver against real processes, as root.

mod confinement;
mod life;
mod limits;
mod network;
mod world;

dyno::shim_before_main!();
