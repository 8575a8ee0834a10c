//! The shim, which supervises one dyno, and what it has in common with the driver that starts it.
//!
//! A shim is a process of the small program `wharf-shim`, since there is one for each dyno: the crate `dyno` embeds the
//! program and starts it with a [state directory](StateDir), in which it finds its [`Order`]. It has one thread, and
//! shares neither a parent nor a group with the server, so it survives whatever happens to the server, which knows it
//! only by that directory.
//!
//! ```text
//! driver ──spawns──→ shim ──clones──→ init (PID 1 inside) ──forks──→ the command
//!                     │ network namespace, cgroups, pipes → spool or terminal, exit.json
//!                     └─ if it dies, init dies (PDEATHSIG), and with it everything inside
//! ```
//!
//! What needs more than a few system calls, such as the rules of the firewall or the filters on system calls, is
//! prepared by the driver.

mod addresses;
mod attached;
mod budget;
pub mod cgroups;
pub mod confine;
mod console;
mod descriptors;
mod disk;
mod error;
mod etc;
mod exec;
mod exit;
pub mod fill;
pub mod image;
mod init;
mod limits;
mod memory;
pub mod network;
mod order;
mod output;
mod pipe;
pub mod places;
mod reap;
pub mod root;
mod sentence;
mod state;
mod supervise;
pub mod terminal;
mod worth;

pub use addresses::{Lease, Network, PREFIX, mask};
pub use budget::Budget;
pub use error::Error;
pub use exit::Ended;
pub use limits::{Limits, Size, Stats};
pub use order::{Artifact, Bind, ExecOrder, Mounts, Order};
pub use state::{EXIT, StateDir};
pub use supervise::{TAKEN_OVER, main};
pub use worth::Worth;
