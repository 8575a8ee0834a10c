//! Confinement of processes, for crates that run something other than dynos: the same system calls and limits.

pub use shim::Error as HostError;
pub use shim::cgroups::{Cgroups, MemoryWatch, Shortage, WHARF};
pub use shim::confine::{Filters, die_with_parent, drop_rights, reset_signals};
pub use shim::places::{bind, mount_on};
pub use shim::root::STACK;

pub use crate::filters::{DENIED, filters};
