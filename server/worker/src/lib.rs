//! Handles untrusted bytes in a disposable, sandboxed process: git, archives, downloads, old trees.
//!
//! A worker has a single task. It is a process with its own user, without capabilities and new privileges, in its own
//! namespaces, and sees only the machine's programs and its mounts; its memory, processes, files and time are limited.
//! When it dies, an [`Error`] contains the reason, and nothing else is affected. If the waiting caller is dropped, or
//! the server dies, it is killed with everything below it.
//!
//! ```text
//! server ──spawns──→ supervisor (`wharfd worker`) ──clones──→ init (PID 1 inside) ──forks──→ the work
//!    └── socket ───────┘ deadline, cgroup, outcome
//! ```
//!
//! The work is a program ([`Program`]), or a [`Task`]: a function of the platform. To add a task, implement the
//! trait next to the code that it runs, and add it to the list of [`Tasks`] with which [`main`] is called.
//! [`Workers`] starts both.
//!
//! This crate has no policy: its callers decide what runs, and with which limits.

mod error;
mod inside;
mod lines;
mod message;
mod order;
mod root;
mod sentence;
mod supervisor;
mod task;
mod workers;

pub use error::Error;
pub use lines::Lines;
pub use order::{Limits, Network, Order, Program, Shown, Work};
pub use supervisor::main;
pub use task::{Task, TaskFiles, Tasks};
pub use workers::{Done, Output, Worker, Workers, from_worker, to_worker};

/// The first of the workers' users: far above those that Debian assigns, also to containers, and below those of apps.
pub const USERS: std::ops::RangeInclusive<u32> = dyno::uids::WORKERS;

/// The user of git's processes, which owns the repositories.
pub const GIT: u32 = *USERS.start();

/// The user of downloads, which owns nothing.
pub const DOWNLOADS: u32 = GIT + 1;

/// Makes a test binary usable as the executable of its own workers.
#[macro_export]
macro_rules! worker_before_main {
    ($tasks:expr) => {
        #[used]
        #[unsafe(link_section = ".init_array")]
        static WORKER_BEFORE_MAIN: extern "C" fn() = {
            extern "C" fn worker() {
                if std::env::args_os().nth(1).is_some_and(|arg| arg == "worker") {
                    $crate::main(&$tasks());
                }
            }
            worker
        };
    };
}
