//! A hostile tenant, whose code and buildpack run in builds. One module per target.

mod disk;
mod files;
mod memory;
mod processors;
