//! Runs processes on this host, and finds them again after a restart.
//!
//! A dyno is started from a [`Spec`] by a [`Driver`] and is then independent of the server: if that stops, dynos keep
//! running, and a new driver on the same data directory finds them again. [`ProcessDriver`] needs only Linux;
//! [`fake::FakeDriver`] is in memory, for tests.
//!
//! This crate has no policy. The number of dynos, how one is stopped (SIGTERM, grace period, SIGKILL) and what happens
//! when one crashes is decided in `platform`.

mod attachment;
mod caller;
pub mod confine;
pub mod disks;
mod driver;
pub mod fake;
mod filters;
mod host;
mod network;
mod order;
mod output;
mod process;
mod program;
mod ranges;
mod spec;
mod state;
mod to_end;
pub mod uids;

pub use attachment::{AttachedInput, AttachedOutput, Attachment, FromProcess};
pub use caller::Caller;
pub use driver::{Driver, Error};
pub use host::Host;
pub use process::ProcessDriver;
pub use ranges::Range;
pub use shim::terminal::{Terminal, WindowSize};
pub use shim::{Artifact, Bind, Budget, Limits, Mounts, Network, Stats, Worth};
pub use spec::{Exec, Exit, Handle, Phase, Spec, Status};
pub use state::LOST;
pub use to_end::{Outcome, Output, Stop, run_to_end};
