//! The repositories on disk, and their writers.
//!
//! They belong to git's user, in a folder that only root can enter: a worker sees one of them. Writers register
//! themselves ([`Repositories::write`]), because the leftovers of a killed git can only be distinguished from files in
//! use when no git is running.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use anyhow::{Context as _, anyhow};
use api::ids::AppId;
use worker::Work;

use crate::{
    handle::{Repositories, Writing},
    paths::{folder, hooks},
    plumbing::git,
    sweep::Sweep,
};

/// The suffix of a repository's name while it is created.
const UNFINISHED: &str = "unfinished";

impl Repositories {
    /// Registers a writer of the repository of an app, after removing the leftovers of killed ones.
    pub async fn write(&self, app: AppId) -> anyhow::Result<Writing> {
        let used = self.of(app);
        let gate = used.gate.lock().await;
        if !used.is_clean.load(Ordering::SeqCst) {
            let alone = used.writers.load(Ordering::SeqCst) == 0;
            self.sweep(app, alone).await?;
            used.is_clean.store(alone, Ordering::SeqCst);
        }
        used.writers.fetch_add(1, Ordering::SeqCst);
        drop(gate);
        Ok(Writing::new(used))
    }

    /// Sweeps the repository of an app, unless it has a writer.
    pub async fn sweep_if_idle(&self, app: AppId) -> anyhow::Result<()> {
        let used = self.of(app);
        let _gate = used.gate.lock().await;
        if used.writers.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.sweep(app, true).await?;
        used.is_clean.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Sweeps a repository; `alone` means that it has no writers.
    async fn sweep(&self, app: AppId, alone: bool) -> anyhow::Result<()> {
        let repository = self.ensure(app).await?;
        self.ask(&repository, &Sweep { alone }).await.context("sweep the repository")
    }

    /// Creates the repository of an app on first use: under a temporary name, and then renamed, so that an incomplete
    /// one is never used, not even after a crash. Fails if the app is destroyed.
    pub async fn ensure(&self, app: AppId) -> anyhow::Result<PathBuf> {
        let folder = self.path(app);
        if tokio::fs::try_exists(&folder).await? {
            return Ok(folder);
        }
        let used = self.of(app);
        let _turn = used.making.lock().await;
        if tokio::fs::try_exists(&folder).await? {
            return Ok(folder);
        }
        if !self.apps().exists(app).await? {
            return Err(destroyed(app));
        }
        let unfinished = folder.with_extension(UNFINISHED);
        self.init(&unfinished).await.context("create the app's repository")?;
        tokio::fs::rename(&unfinished, &folder).await.context("move the app's repository into place")?;
        // An app's row is removed before its files: if the app still exists, this folder will be removed with them.
        // Otherwise, their removal may have completed already.
        if !self.apps().exists(app).await? {
            trees::remove(&folder).context("remove the repository of a destroyed app")?;
            return Err(destroyed(app));
        }
        Ok(folder)
    }

    async fn init(&self, folder: &Path) -> anyhow::Result<()> {
        remove(folder)?;
        make_folder(folder)?;
        // git takes the path from GIT_DIR.
        let init = self.order(folder, Work::Program(git(&["init", "--quiet", "--bare", "--initial-branch=main"])));
        let made = self.workers().output(&init, b"", 4096).await?;
        match made.code {
            0 => Ok(()),
            _ => Err(anyhow!("git init: {}", made.stderr.trim())),
        }
    }

    /// The apps that have a repository.
    pub fn all(&self) -> Vec<AppId> {
        let entries = std::fs::read_dir(folder(self.data())).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.strip_suffix(".git")?.parse().ok()).collect()
    }
}

/// Writes the hooks, removes repositories whose creation did not finish, and gives those of an older version to git's
/// user.
pub fn prepare(data: &Path) -> anyhow::Result<()> {
    let hooks = hooks(data);
    std::fs::create_dir_all(&hooks).with_context(|| format!("make {}", hooks.display()))?;
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
    open(&hooks)?;
    for name in ["proc-receive", "post-receive"] {
        let file = hooks.join(name);
        // The worker gets a descriptor of the running executable, since an upgrade may have replaced its file.
        std::fs::write(&file, format!("#!/bin/sh\nexec \"$WHARF_EXE\" git-hook {name}\n"))?;
        open(&file)?;
    }
    for entry in std::fs::read_dir(folder(data))?.flatten() {
        let path = entry.path();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("git") => give(&path).with_context(|| format!("change the owner of {}", path.display()))?,
            Some(UNFINISHED) => remove(&path).with_context(|| format!("remove {}", path.display()))?,
            _ => {}
        }
    }
    Ok(())
}

/// Gives a repository to git's user, its top folder last: if it belongs to that user, everything in it does.
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

fn destroyed(app: AppId) -> anyhow::Error {
    anyhow!("the app {app} was destroyed")
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    lchown(folder, Some(worker::GIT), Some(worker::GIT))
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> std::io::Result<()> {
    match trees::remove(folder) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}
