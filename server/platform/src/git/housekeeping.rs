//! Housekeeping: sweeps and packs repositories regularly.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use background::{Reconciler, Report};
use uuid::Uuid;
use worker::{Lines, Work};

use super::{
    handle::Repositories,
    paths,
    plumbing::{git, order},
    repositories,
    sweep::entries,
};
use crate::Platform;

/// A repository with as many packs is packed anew.
const MANY_PACKS: usize = 40;
/// Time limit for one repository.
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

/// Keeps all repositories clean, at the start and every hour.
pub(crate) struct Housekeeping(pub Platform);

#[async_trait]
impl Reconciler for Housekeeping {
    const NAME: &'static str = "git housekeeping";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut report = Report::default();
        for app in repositories::all(&self.0.config().data) {
            let swept = async {
                Repositories::sweep_if_idle(&self.0, app).await?;
                pack(&self.0, app).await
            };
            if let Err(err) = swept.await {
                report.failed.push(format!("repository of {app}: {err:#}"));
            }
        }
        Ok(report)
    }
}
