//! How a process is confined, for crates that run other things than dynos: the same lists and limits.

pub use crate::cgroups::{Cgroups, MemoryWatch, Shortage, WHARF};
pub use crate::shim::confine::{Filters, die_with_parent, drop_rights, reset_signals};
pub use crate::shim::places::{bind, mount_on};
pub use crate::shim::root::STACK;
pub use crate::shim::syscalls::DENIED;
