//! Runs processes on this host, and finds them again after a restart.
//!
//! A dyno is started from a [`Spec`] by a [`Driver`] and is then independent of the server: if that stops, dynos keep
//! running, and a new driver on the same data directory finds them again. [`ProcessDriver`] needs only Linux;
//! [`fake::FakeDriver`] is in memory, for tests.
//!
//! This crate has no policy. The number of dynos, how one is stopped (SIGTERM, grace period, SIGKILL) and what happens
//! when one crashes is decided in `platform`.

mod addresses;
mod attachment;
mod budget;
mod caller;
mod cgroups;
pub mod confine;
pub mod disks;
mod driver;
pub mod fake;
mod host;
mod network;
mod output;
mod process;
mod ranges;
mod shim;
mod spec;
mod state;
mod terminal;
mod to_end;
pub mod uids;
mod worth;

pub use addresses::Network;
pub use attachment::{AttachedInput, AttachedOutput, Attachment, FromProcess};
pub use budget::Budget;
pub use caller::Caller;
pub use driver::{Driver, Error};
pub use host::Host;
pub use process::ProcessDriver;
pub use ranges::Range;
pub use shim::shim_main;
pub use spec::{Artifact, Bind, Exec, Exit, Handle, Limits, Mounts, Phase, Spec, Stats, Status};
pub use state::LOST;
pub use terminal::{Terminal, WindowSize};
pub use to_end::{Outcome, Output, Stop, run_to_end};
pub use worth::Worth;

/// Makes a test's binary usable as the executable of its own shims.
///
/// [`ProcessDriver`] starts shims through /proc/self/exe, which in a test is the test harness: this puts
/// `shim_main` in front of the harness for the argument `dyno`. Once per binary, at the top level. Relies
/// on the C library passing the arguments to functions that run before `main`, as glibc does.
#[macro_export]
macro_rules! shim_before_main {
    () => {
        #[used]
        #[unsafe(link_section = ".init_array")]
        static SHIM_BEFORE_MAIN: extern "C" fn() = {
            extern "C" fn shim() {
                let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
                if args.get(1).is_some_and(|arg| arg == "dyno") {
                    $crate::shim_main(&args[2..]);
                }
            }
            shim
        };
    };
}
