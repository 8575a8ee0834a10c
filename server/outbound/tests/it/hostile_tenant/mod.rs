//! A hostile tenant types addresses. One module for each target that they try to reach.

mod inside;
mod memory;
mod others;
