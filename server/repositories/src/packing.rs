//! Packing: a repository that has come to consist of many packs is made one of few, and many files with a ref each are
//! made one.

use std::{path::Path, path::PathBuf, time::Duration};

use anyhow::Context as _;
use uuid::Uuid;
use worker::{Lines, Work};

use crate::{handle::Repositories, plumbing::git, sweep::entries};

/// A repository with as many packs is packed anew.
const MANY_PACKS: usize = 40;
/// So many refs, each in a file of its own, are packed.
const MANY_REFS: usize = 500;
/// How long packing may take.
const PACKING: Duration = Duration::from_secs(1800);

impl Repositories {
    /// Packs a repository that has come to consist of many packs, of which only one at a time is packed, and its refs,
    /// if there are many.
    pub async fn pack(&self, app: Uuid) -> anyhow::Result<()> {
        let (used, repository) = (self.of(app), self.path(app));
        let _mine = used.packing.lock().await;
        if has_many_refs(&repository)? {
            self.pack_with(app, &["pack-refs", "--all"]).await.context("pack the refs of the repository")?;
        }
        let is_pack = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pack");
        if entries(&repository.join("objects/pack"))?.iter().filter(|path| is_pack(path)).count() < MANY_PACKS {
            return Ok(());
        }
        let _turn = self.cleaning.lock().await;
        self.pack_with(app, &["gc", "--quiet"]).await.context("pack the repository")
    }

    async fn pack_with(&self, app: Uuid, args: &[&str]) -> anyhow::Result<()> {
        let writing = self.write(app).await?;
        let mut order = self.order(&self.path(app), Work::Program(git(args)));
        (order.limits.time, order.limits.cpu) = (PACKING, PACKING);
        self.workers().start(&order, Lines::default())?.done().await?;
        writing.ended_well();
        Ok(())
    }
}

/// Whether so many refs are in files of their own that it is worth packing them. Looks no further than that.
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
