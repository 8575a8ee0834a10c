//! The repositories on disk: where they are, whose they are, and who is at work in them.
//!
//! They belong to git's user, and only root reaches the folder that they lie in: a worker is shown
//! one of them. Whoever writes into one says so ([`Repositories::write`]), because what a killed git
//! leaves behind can be told from what a living one needs only when none is at work.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use anyhow::{Context as _, anyhow};
use uuid::Uuid;
use worker::Work;

use super::{
    handle::{Repositories, Writing},
    paths::{folder, hooks, path},
    plumbing::{self, git, order},
    sweep::{Sweep, is_incoming},
};
use crate::Platform;

impl Repositories {
    /// Says that somebody is going to write into the repository of an app, once what others left
    /// there is swept out.
    pub async fn write(platform: &Platform, app: Uuid) -> anyhow::Result<Writing> {
        let used = platform.git().of(app);
        let gate = used.gate.lock().await;
        if !used.is_clean.load(Ordering::SeqCst) {
            let alone = used.writers.load(Ordering::SeqCst) == 0;
            sweep(platform, app, alone).await?;
            used.is_clean.store(alone, Ordering::SeqCst);
        }
        used.writers.fetch_add(1, Ordering::SeqCst);
        drop(gate);
        Ok(Writing::new(used))
    }

    /// Sweeps the repository of an app, unless somebody is at work in it.
    pub async fn sweep_if_idle(platform: &Platform, app: Uuid) -> anyhow::Result<()> {
        let used = platform.git().of(app);
        let _gate = used.gate.lock().await;
        if used.writers.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        sweep(platform, app, true).await?;
        used.is_clean.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// Writes the hooks, and gives repositories of an older version to git's user.
pub(crate) fn prepare(data: &Path) -> anyhow::Result<()> {
    let hooks = hooks(data);
    std::fs::create_dir_all(&hooks).with_context(|| format!("make {}", hooks.display()))?;
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
    open(&hooks)?;
    for name in ["proc-receive", "post-receive"] {
        let file = hooks.join(name);
        // The worker is handed this very executable, since an upgrade may have moved its file.
        std::fs::write(&file, format!("#!/bin/sh\nexec \"$WHARF_EXE\" git-hook {name}\n"))?;
        open(&file)?;
    }
    for entry in std::fs::read_dir(folder(data))?.flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "git") {
            give(&entry.path()).with_context(|| format!("give {} to git's user", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Gives a repository to git's user, its own folder last: one that is theirs is all theirs.
fn give(repository: &Path) -> std::io::Result<()> {
    if std::fs::symlink_metadata(repository)?.uid() == worker::GIT {
        return Ok(());
    }
    let own = |path: &Path| lchown(path, Some(worker::GIT), Some(worker::GIT));
    let mut open = vec![repository.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            own(&entry.path())?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    std::fs::set_permissions(repository, std::fs::Permissions::from_mode(0o700))?;
    own(repository)
}

/// Makes the repository of an app on first use.
pub(super) async fn ensure(platform: &Platform, app: Uuid) -> anyhow::Result<PathBuf> {
    let folder = path(platform, app);
    if tokio::fs::try_exists(folder.join("HEAD")).await? {
        return Ok(folder);
    }
    make_folder(&folder).context("create the app's repository")?;
    // Where GIT_DIR says.
    let init = order(platform, &folder, Work::Program(git(&["init", "--quiet", "--bare", "--initial-branch=main"])));
    let made = platform.git().workers().output(&init, b"", 4096).await.context("create the app's repository")?;
    match made.code {
        0 => Ok(folder),
        _ => Err(anyhow!("git init: {}", made.stderr.trim())),
    }
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(err) if err.kind() != std::io::ErrorKind::AlreadyExists => return Err(err),
        _ => {}
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    lchown(folder, Some(worker::GIT), Some(worker::GIT))
}

/// What a repository takes up on the disk, in bytes. A file takes some room by being there. What pushes are bringing is
/// not in it yet: see `room`.
pub(super) async fn size(repository: &Path) -> u64 {
    const ENTRY: u64 = 1024;
    let repository = repository.to_owned();
    let walk = move || {
        let objects = repository.join("objects");
        let mut total = 0;
        let mut open = vec![repository];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                if folder == objects && is_incoming(&entry.file_name().to_string_lossy()) {
                    continue;
                }
                total += ENTRY + meta.blocks() * 512;
                if meta.is_dir() {
                    open.push(entry.path());
                }
            }
        }
        total
    };
    tokio::task::spawn_blocking(walk).await.unwrap_or(0)
}

/// Notes what a repository takes up, for the owner's quota.
pub(super) async fn note_size(platform: &Platform, app: Uuid) -> anyhow::Result<()> {
    let size = size(&path(platform, app)).await;
    store::apps::app_repo_size(platform.db(), app, i64::try_from(size).unwrap_or(i64::MAX)).await?;
    Ok(())
}

/// The apps that have a repository.
pub(crate) fn all(data: &Path) -> Vec<Uuid> {
    let entries = std::fs::read_dir(folder(data)).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.strip_suffix(".git")?.parse().ok()).collect()
}

/// Sweeps a repository; `alone` says that nobody is at work in it.
async fn sweep(platform: &Platform, app: Uuid, alone: bool) -> anyhow::Result<()> {
    let repository = ensure(platform, app).await?;
    plumbing::ask(platform, &repository, &Sweep { alone }).await.context("sweep the repository")
}
