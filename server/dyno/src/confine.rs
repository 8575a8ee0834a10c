//! Confinement of processes, for crates that run something other than dynos: the same system calls and limits.

pub use crate::cgroups::{Cgroups, MemoryWatch, Shortage, WHARF};
pub use crate::shim::confine::{Filters, die_with_parent, drop_rights, reset_signals};
pub use crate::shim::places::{bind, mount_on};
pub use crate::shim::root::STACK;
pub use crate::shim::syscalls::DENIED;
