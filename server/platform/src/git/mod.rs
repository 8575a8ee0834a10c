//! git: a repository for each app, over smart HTTP, and what a push does.
//!
//! ```text
//! git push ──HTTP──→ worker: receive-pack ──hook──→ `wharfd git-hook` ──descriptor──→ the server
//!    ←──── remote: lines ────────────────────────────────────────────────  build, release, start
//! ```
//!
//! Everything that reads or writes a repository runs in a confined worker as git's own user, which
//! sees that one repository: git itself over the wire (`http`), and our questions to it (`inside`).
//! The hook is of kind `proc-receive`: it decides over `main` and `master` itself, and moves them
//! as the last step of the build, so that a push that was rejected has changed nothing.

mod answer;
mod body;
mod commands;
mod commits;
mod files;
mod handle;
mod histories;
pub mod hook;
mod housekeeping;
mod http;
mod inside;
mod inspection;
mod limits;
mod paths;
mod plumbing;
mod push;
mod repositories;
mod room;
mod rooms;
mod sweep;

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use uuid::Uuid;

pub(crate) use self::{
    commits::commits,
    files::deploy_files,
    handle::Repositories,
    housekeeping::clean,
    repositories::{all, prepare},
};
pub use self::{
    http::{info_refs, receive_pack, upload_pack},
    limits::GitLimits,
};
use self::{inside::Tip, repositories::ensure};
use crate::Platform;

/// The errands of this module.
pub(crate) fn errands(errands: worker::Errands) -> worker::Errands {
    errands
        .with::<inside::Tip>()
        .with::<inside::Inspect>()
        .with::<inside::Move>()
        .with::<inside::Commits>()
        .with::<sweep::Sweep>()
}

/// The branches that are deployed. No other ref is, whatever it looks like.
pub(crate) const DEPLOYED: [&str; 2] = ["refs/heads/main", "refs/heads/master"];

fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Writes the files of a commit to a tar archive, as they are.
pub(crate) async fn archive(platform: &Platform, app: Uuid, commit: &str, file: &Path) -> anyhow::Result<()> {
    if !is_id(commit) {
        bail!("{commit} is not a commit");
    }
    let repository = ensure(platform, app).await?;
    let program = plumbing::git(&["archive", "--format=tar", commit]);
    let mut order = plumbing::order(platform, &repository, worker::Work::Program(program));
    // What is around the files in an archive is a part of them, at worst twice.
    order.limits.file_bytes = platform.config().git.checkout_bytes.saturating_mul(2).saturating_add(64 << 20);
    let out = std::fs::File::create(file).context("make the archive")?;
    let lines = worker::Lines { stdout: Some(out.into()), ..worker::Lines::default() };
    let done =
        platform.git().workers().start(&order, lines)?.done().await.context("take the files out of the commit")?;
    match done.code {
        0 => Ok(()),
        code => Err(anyhow!("git archive ended with status {code}").context("take the files out of the commit")),
    }
}

/// Moves a branch from `old` to `new`; all zeros stand for nothing. One that is at `new` already
/// stays, so that a job can do it twice.
pub(crate) async fn move_ref(platform: &Platform, app: Uuid, name: &str, old: &str, new: &str) -> anyhow::Result<()> {
    let repository = ensure(platform, app).await?;
    let writing = Repositories::write(platform, app).await?;
    let errand = inside::Move { name: name.into(), old: old.into(), new: new.into() };
    plumbing::ask(platform, &repository, &errand).await.with_context(|| format!("move {name}"))?;
    writing.ended_well();
    repositories::note_size(platform, app).await
}

/// What a client is told whose push comes after another one that it did not know of.
pub(crate) const STALE: &str = " !     Somebody else pushed to this branch at the same time. Fetch and push again.";

/// Whether a branch is at the commit `id`; all zeros stand for a branch that is not there.
pub(crate) async fn is_at(platform: &Platform, app: Uuid, name: &str, id: &str) -> anyhow::Result<bool> {
    Ok(is_tip(tip(platform, app, name).await?.as_deref(), id))
}

fn is_tip(tip: Option<&str>, id: &str) -> bool {
    tip == Some(id).filter(|id| id.bytes().any(|b| b != b'0'))
}

/// Where a branch is; `name` is the whole of its name.
async fn tip(platform: &Platform, app: Uuid, name: &str) -> anyhow::Result<Option<String>> {
    let repository = ensure(platform, app).await?;
    let tip = plumbing::ask(platform, &repository, &Tip { name: name.into() }).await.context("look at the branch")?;
    Ok(tip.filter(|id| is_id(id)))
}
