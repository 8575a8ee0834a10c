//! Packing: merges the many packs of a repository, and its many refs in individual files.

use std::{path::Path, path::PathBuf, time::Duration};

use anyhow::Context as _;
use api::ids::AppId;
use worker::{Lines, Work};

use crate::{handle::Repositories, plumbing::git, sweep::entries};

/// A repository with this many packs is repacked.
const MANY_PACKS: usize = 40;
/// This many refs in individual files are packed.
const MANY_REFS: usize = 500;
/// The time limit of packing.
const PACKING: Duration = Duration::from_secs(1800);

impl Repositories {
    /// Packs a repository that consists of many packs, and its refs, if there are many. Only one is packed at a time.
    /// Returns whether there was anything to pack.
    pub async fn pack(&self, app: AppId) -> anyhow::Result<bool> {
        let (used, repository) = (self.of(app), self.path(app));
        let _mine = used.packing.lock().await;
        let has_many_refs = has_many_refs(&repository)?;
        if has_many_refs {
            self.pack_with(app, &["pack-refs", "--all"]).await.context("pack the refs of the repository")?;
        }
        let is_pack = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pack");
        if entries(&repository.join("objects/pack"))?.iter().filter(|path| is_pack(path)).count() < MANY_PACKS {
            return Ok(has_many_refs);
        }
        let _turn = self.cleaning.lock().await;
        self.pack_with(app, &["gc", "--quiet"]).await.context("pack the repository")?;
        Ok(true)
    }

    async fn pack_with(&self, app: AppId, args: &[&str]) -> anyhow::Result<()> {
        let writing = self.write(app).await?;
        let mut order = self.order(&self.path(app), Work::Program(git(args)));
        (order.limits.time, order.limits.cpu) = (PACKING, PACKING);
        self.workers().start(&order, Lines::default())?.done().await?;
        writing.ended_well();
        Ok(())
    }
}

/// Whether there are enough refs in individual files to pack them. Stops counting there.
fn has_many_refs(repository: &Path) -> std::io::Result<bool> {
    let (mut open, mut found) = (vec![repository.join("refs")], 0);
    while let Some(folder) = open.pop() {
        for path in entries(&folder)? {
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                found += 1;
            }
            if found >= MANY_REFS {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
