//! Housekeeping: repositories are swept and packed now and then.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use uuid::Uuid;
use worker::{Lines, Work};

use super::{
    handle::Repositories,
    paths,
    plumbing::{git, order},
    sweep::entries,
};
use crate::Platform;

/// A repository with as many packs is packed anew.
const MANY_PACKS: usize = 40;
/// How long that may take.
const PACKING: Duration = Duration::from_secs(1800);

/// Packs a repository that has come to consist of many packs. Only one at a time is packed.
pub(super) async fn pack(platform: &Platform, app: Uuid) -> anyhow::Result<()> {
    let repository = paths::path(platform, app);
    let is_pack = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pack");
    if entries(&repository.join("objects/pack"))?.iter().filter(|path| is_pack(path)).count() < MANY_PACKS {
        return Ok(());
    }
    let _turn = platform.git().cleaning.lock().await;
    let writing = Repositories::write(platform, app).await?;
    let mut order = order(platform, &repository, Work::Program(git(&["gc", "--quiet"])));
    (order.limits.time, order.limits.cpu) = (PACKING, PACKING);
    platform.git().workers().start(&order, Lines::default())?.done().await.context("pack the repository")?;
    writing.ended_well();
    Ok(())
}

/// Sweeps a repository, unless somebody is at work in it, and packs it.
pub(crate) async fn clean(platform: &Platform, app: Uuid) -> anyhow::Result<()> {
    Repositories::sweep_if_idle(platform, app).await?;
    pack(platform, app).await
}
