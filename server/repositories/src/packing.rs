//! Packing: a repository that has come to consist of many packs is made one of few.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use uuid::Uuid;
use worker::{Lines, Work};

use crate::{handle::Repositories, plumbing::git, sweep::entries};

/// A repository with as many packs is packed anew.
const MANY_PACKS: usize = 40;
/// How long that may take.
const PACKING: Duration = Duration::from_secs(1800);

impl Repositories {
    /// Packs a repository that has come to consist of many packs. Only one at a time is packed.
    pub async fn pack(&self, app: Uuid) -> anyhow::Result<()> {
        let repository = self.path(app);
        let is_pack = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pack");
        if entries(&repository.join("objects/pack"))?.iter().filter(|path| is_pack(path)).count() < MANY_PACKS {
            return Ok(());
        }
        let _turn = self.cleaning.lock().await;
        let writing = self.write(app).await?;
        let mut order = self.order(&repository, Work::Program(git(&["gc", "--quiet"])));
        (order.limits.time, order.limits.cpu) = (PACKING, PACKING);
        self.workers().start(&order, Lines::default())?.done().await.context("pack the repository")?;
        writing.ended_well();
        Ok(())
    }
}
