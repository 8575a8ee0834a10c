//! git: a repository for each app, and everything that reads or writes one.
//!
//! ```text
//! git push ──HTTP──→ worker: receive-pack ──hook──→ `wharfd git-hook` ──descriptor──→ the server
//!    ←──── remote: lines ────────────────────────────────────────────────  build, release, start
//! ```
//!
//! Everything that reads or writes a repository runs in a confined worker as git's own user, which
//! sees that one repository: git itself over the wire (`serving`), and our questions to it (`inside`).
//! The hook is of kind `proc-receive`: it decides over `main` and `master` itself, and moves them
//! as the last step of the build, so that a push that was rejected has changed nothing.
//!
//! This crate knows neither routes nor the database: which apps there are ([`Apps`]), who may clone or push, how much
//! room a push has ([`Room`]) and what follows from it is for its callers to say.

mod answer;
mod archives;
mod body;
mod branches;
mod commands;
mod commits;
mod files;
mod folders;
mod handle;
pub mod hook;
mod inside;
mod inspection;
mod limits;
mod measured;
mod packing;
mod paths;
mod plumbing;
mod serving;
mod sizes;
mod sweep;

pub use crate::{
    answer::{Seat, Served, clone_refused, push_refused},
    body::{Bounds, Incoming, Refusal, Room},
    branches::DEPLOYED,
    folders::prepare,
    handle::{Apps, Repositories, Writing},
    inspection::STALE,
    limits::GitLimits,
};

/// The errands of this crate.
pub fn errands(errands: worker::Errands) -> worker::Errands {
    errands
        .with::<inside::Tip>()
        .with::<inside::Inspect>()
        .with::<inside::Move>()
        .with::<inside::Commits>()
        .with::<sweep::Sweep>()
}
