//! A hostile tenant, whose code and buildpack run in builds. One module for each target that they try to reach.

mod disk;
mod files;
mod memory;
