//! git: a repository for each app, and everything that reads or writes one.
//!
//! ```text
//! git push ──HTTP──→ worker: receive-pack ──hook──→ `wharfd git-hook` ──descriptor──→ the server
//!    ←──── remote: lines ────────────────────────────────────────────────  build, release, start
//! ```
//!
//! Everything that reads or writes a repository runs in a sandboxed worker as git's own user, which sees that one
//! repository: git itself when it serves clients (`serving`), and our own queries (`inside`). The hook is a
//! `proc-receive` hook: it handles updates of `main` and `master` itself, which are moved as the last step of the
//! build, so that a rejected push has changed nothing.
//!
//! This crate knows neither routes nor the database: its callers decide which apps exist ([`Apps`]), who may clone or
//! push, how much space a push has ([`SpaceLimit`]) and what happens afterwards.

mod answer;
mod body;
mod branches;
mod checkout;
mod commands;
mod commits;
mod fetching;
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
    answer::{ClientSlot, GitProcess, clone_refused, push_refused},
    body::{Bounds, Incoming, Refusal, SpaceLimit},
    branches::DEPLOYED,
    checkout::{Contents, Submodule},
    commits::short,
    fetching::{Remote, fetch_files},
    folders::prepare,
    handle::{Apps, Repositories, Writing},
    inspection::{Pushed, STALE},
    limits::GitLimits,
    plumbing::REPOSITORY,
};

/// The tasks of this crate.
pub fn tasks(tasks: worker::Tasks) -> worker::Tasks {
    tasks
        .with::<inside::Tip>()
        .with::<inside::Inspect>()
        .with::<inside::Move>()
        .with::<inside::Stale>()
        .with::<inside::Contains>()
        .with::<inside::Commits>()
        .with::<checkout::Checkout>()
        .with::<sweep::Sweep>()
}
