//! Handles untrusted bytes in a disposable, confined process: git, archives, downloads, old trees.
//!
//! A worker lives for one thing. It is a process of its own user, without capabilities and new
//! privileges, in namespaces of its own, that sees of the machine its programs and what it was
//! shown; its memory, processes, files and time are limited. When it dies, one [`Error`] says why,
//! and nothing else happens. When whoever waits for it goes away, or the server dies, it is killed
//! with everything below it.
//!
//! ```text
//! server ──spawns──→ supervisor (`wharfd worker`) ──clones──→ init (PID 1 inside) ──forks──→ the work
//!    └── socket ───────┘ deadline, cgroup, outcome
//! ```
//!
//! The work is a program ([`Program`]), or an [`Errand`]: a function of ours. To add an errand,
//! implement the trait beside the code that it runs, and name it in the list of [`Errands`] with
//! which [`main`] is called. [`Workers`] starts both.
//!
//! This crate decides nothing: who may run what, and with which limits, is said by its callers.

mod errand;
mod error;
mod inside;
mod lines;
mod message;
mod order;
mod root;
mod sentence;
mod supervisor;
mod workers;

pub use errand::{Errand, Errands, Given};
pub use error::Error;
pub use lines::Lines;
pub use order::{Limits, Network, Order, Program, Shown, Work};
pub use supervisor::main;
pub use workers::{Done, Output, Worker, Workers, from_worker, to_worker};

/// The first of the users of workers: they lie far above those that Debian gives out, also to
/// containers, and below those of apps.
pub const USERS: std::ops::RangeInclusive<u32> = dyno::uids::WORKERS;

/// The user of git's processes, whom the repositories belong to.
pub const GIT: u32 = *USERS.start();

/// The user of downloads, whom nothing belongs to.
pub const DOWNLOADS: u32 = GIT + 1;

/// Makes a test's binary usable as the executable of its own workers.
///
/// [`Workers`] starts /proc/self/exe, which in a test is the test harness: this puts [`main`] in
/// front of the harness for the argument `worker`. Once per binary, at the top level, with a
/// function that makes the list of errands.
#[macro_export]
macro_rules! worker_before_main {
    ($errands:expr) => {
        #[used]
        #[unsafe(link_section = ".init_array")]
        static WORKER_BEFORE_MAIN: extern "C" fn() = {
            extern "C" fn worker() {
                if std::env::args_os().nth(1).is_some_and(|arg| arg == "worker") {
                    $crate::main(&$errands());
                }
            }
            worker
        };
    };
}
