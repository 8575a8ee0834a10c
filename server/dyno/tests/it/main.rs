//! The process driver against real processes, as root.
dyno::shim_before_main!();
