//! The handle of the repositories, and their current users.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use uuid::Uuid;
use worker::Workers;

use crate::{limits::GitLimits, measured::Measured};

/// Reports which apps exist.
#[async_trait]
pub trait Apps: Send + Sync {
    /// Whether there is an app with this id that is not being destroyed.
    async fn exists(&self, app: Uuid) -> anyhow::Result<bool>;
}

/// The repositories of a platform: the current users of each, and the handle that starts workers.
pub struct Repositories {
    data: PathBuf,
    limits: GitLimits,
    workers: Workers,
    apps: Box<dyn Apps>,
    uses: Mutex<HashMap<Uuid, Arc<Use>>>,
    pub(crate) cleaning: tokio::sync::Mutex<()>,
}

/// The use of one repository.
#[derive(Default)]
pub(crate) struct Use {
    /// Held while it is created.
    pub making: tokio::sync::Mutex<()>,
    /// Held while it is swept and a writer waits.
    pub gate: tokio::sync::Mutex<()>,
    pub writers: AtomicUsize,
    /// Whether it has no leftovers of killed processes.
    pub is_clean: AtomicBool,
    /// Held while it is packed, and while a commit of files is written.
    pub packing: tokio::sync::Mutex<()>,
    pub importing: tokio::sync::Mutex<()>,
    pub size: Measured,
}

impl Repositories {
    /// The repositories of `apps` below `data`, each limited by `limits`; `workers` run everything that reads or writes
    /// them.
    pub fn new(data: &Path, limits: GitLimits, workers: Workers, apps: Box<dyn Apps>) -> Self {
        let (uses, cleaning) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { data: data.to_owned(), limits, workers, apps, uses, cleaning }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The limits of git.
    pub fn limits(&self) -> &GitLimits {
        &self.limits
    }

    /// Starts workers.
    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Reports which apps exist.
    pub(crate) fn apps(&self) -> &dyn Apps {
        self.apps.as_ref()
    }

    pub(crate) fn of(&self, app: Uuid) -> Arc<Use> {
        self.uses().entry(app).or_default().clone()
    }

    /// Removes the state of repositories that do not exist, such as those of destroyed apps.
    pub fn forget_missing(&self) {
        let there: HashSet<Uuid> = self.all().into_iter().collect();
        // State in use has to stay shared by all its users.
        self.uses().retain(|app, used| there.contains(app) || Arc::strong_count(used) > 1);
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Use>>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A writer of a repository. If it is dropped without [`Writing::ended_well`], git was killed, and its leftovers have
/// to be swept.
pub struct Writing {
    used: Arc<Use>,
    well: bool,
}

impl Writing {
    /// For a writer that has just been counted.
    pub(crate) fn new(used: Arc<Use>) -> Self {
        Self { used, well: false }
    }
}

impl Writing {
    /// Nothing has to be swept.
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
