//! git over smart HTTP: authorization of clones and pushes, and deployment of pushes.
//!
//! The crate `repositories` reads and writes repositories. This module authorizes that, determines the available space,
//! and turns a push into a build.

mod commits;
mod faults;
mod files;
mod handle;
mod histories;
mod housekeeping;
mod http;
mod idle;
mod push;
mod reservation;
mod reservations;

use api::ids::AppId;
use base::{Error, Result};

pub use self::http::{info_refs, receive_pack, upload_pack};
pub(crate) use self::{commits::commits, files::deploy_files, handle::Git, housekeeping::clean};
use crate::Builds;

/// Moves a branch from `old` to `new`; all zeros stand for no commit. Does nothing if the branch is already at `new`,
/// so that a job can repeat this.
pub(crate) async fn move_ref(builds: &Builds, app: AppId, name: &str, old: &str, new: &str) -> anyhow::Result<()> {
    builds.git().move_ref(app, name, old, new).await?;
    note_size(builds, app).await
}

/// The outcome of work on an app, or 404 if it failed because the app was destroyed meanwhile.
pub(crate) async fn unless_destroyed<T>(builds: &Builds, app: AppId, outcome: Result<T>) -> Result<T> {
    let err = match outcome {
        Err(Error::Internal(err)) => err,
        outcome => return outcome,
    };
    match store::apps::app_exists(builds.db(), app).await {
        Ok(false) => {
            tracing::info!(app.id = %app, "an app was destroyed while it was in use: {err:#}");
            Err(Error::no_app())
        }
        _ => Err(Error::Internal(err)),
    }
}

/// Packs a repository, if that is worthwhile. Its size is recorded afterwards: while it is packed, its objects exist
/// twice, and a push that ended meanwhile has recorded that size.
async fn pack(builds: &Builds, app: AppId) -> anyhow::Result<()> {
    match builds.git().pack(app).await? {
        true => note_size(builds, app).await,
        false => Ok(()),
    }
}

/// Records the size of a repository, for the owner's quota.
async fn note_size(builds: &Builds, app: AppId) -> anyhow::Result<()> {
    let size = builds.git().measure(app).await;
    store::apps::app_repo_size(builds.db(), app, i64::try_from(size).unwrap_or(i64::MAX)).await?;
    Ok(())
}
