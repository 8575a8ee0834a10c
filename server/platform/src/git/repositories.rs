//! The repositories on disk: where they are, whose they are, and who is at work in them.
//!
//! They belong to git's user, and only root reaches the folder that they lie in: a worker is shown
//! one of them. Whoever writes into one says so ([`Repositories::write`]), because what a killed git
//! leaves behind can be told from what a living one needs only when none is at work.

use std::{
    collections::HashMap,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, anyhow};
use base::places::Places;
use uuid::Uuid;
use worker::{Work, Workers};

use super::{
    commits::Histories,
    housekeeping, limits,
    plumbing::{git, order},
    room::Rooms,
};
use crate::Platform;

/// Who is at work in which repository, and what starts them.
pub(crate) struct Repositories {
    workers: Workers,
    uses: Mutex<HashMap<Uuid, Arc<Use>>>,
    rooms: Rooms,
    places: Places,
    questions: Places,
    histories: Histories,
    pub(super) cleaning: tokio::sync::Mutex<()>,
}

/// The use of one repository.
#[derive(Default)]
struct Use {
    /// Held while it is swept and somebody waits to write.
    gate: tokio::sync::Mutex<()>,
    writers: AtomicUsize,
    /// Whether nothing was left in it by somebody who was killed.
    is_clean: AtomicBool,
}

impl Repositories {
    pub fn new() -> anyhow::Result<Self> {
        let workers = Workers::new().context("set up the workers")?;
        Ok(Self {
            workers,
            uses: Mutex::default(),
            rooms: Rooms::default(),
            places: Places::new("clones and pushes", limits::AT_ONCE, 0, limits::AT_ONCE_OF_ALL),
            questions: Places::new("repository reads", limits::QUESTIONS, 32, limits::QUESTIONS_OF_ALL),
            histories: Histories::default(),
            cleaning: tokio::sync::Mutex::default(),
        })
    }

    /// What pushes under way may bring.
    pub(super) fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    fn of(&self, app: Uuid) -> Arc<Use> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).entry(app).or_default().clone()
    }

    /// Says that somebody is going to write into the repository of an app, once what others left
    /// there is swept out.
    pub async fn write(platform: &Platform, app: Uuid) -> anyhow::Result<Writing> {
        let used = platform.git().of(app);
        let gate = used.gate.lock().await;
        if !used.is_clean.load(Ordering::SeqCst) {
            let alone = used.writers.load(Ordering::SeqCst) == 0;
            housekeeping::sweep(platform, app, alone).await?;
            used.is_clean.store(alone, Ordering::SeqCst);
        }
        used.writers.fetch_add(1, Ordering::SeqCst);
        drop(gate);
        Ok(Writing { used, well: false })
    }

    /// Sweeps the repository of an app, unless somebody is at work in it.
    pub async fn sweep_if_idle(platform: &Platform, app: Uuid) -> anyhow::Result<()> {
        let used = platform.git().of(app);
        let _gate = used.gate.lock().await;
        if used.writers.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        housekeeping::sweep(platform, app, true).await?;
        used.is_clean.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Places to clone and to push.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Places to ask a repository something, for requests that do nothing else.
    pub fn questions(&self) -> &Places {
        &self.questions
    }

    /// What commits lie between two others, as it was found before.
    pub(super) fn histories(&self) -> &Histories {
        &self.histories
    }
}

/// Somebody writes into a repository. Dropped without [`Writing::ended_well`], they were killed,
/// and what they left has to be swept out.
pub(crate) struct Writing {
    used: Arc<Use>,
    well: bool,
}

impl Writing {
    pub fn ended_well(mut self) {
        self.well = true;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.well {
            self.used.is_clean.store(false, Ordering::SeqCst);
        }
        self.used.writers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The repository of an app.
pub(super) fn path(platform: &Platform, app: Uuid) -> PathBuf {
    folder(&platform.config().data).join(format!("{app}.git"))
}

fn folder(data: &Path) -> PathBuf {
    data.join("git")
}

/// The hooks that all repositories share.
pub(super) fn hooks(data: &Path) -> PathBuf {
    folder(data).join("hooks")
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
                if folder == objects && housekeeping::is_incoming(&entry.file_name().to_string_lossy()) {
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
pub(super) fn all(data: &Path) -> Vec<Uuid> {
    let entries = std::fs::read_dir(folder(data)).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.strip_suffix(".git")?.parse().ok()).collect()
}
