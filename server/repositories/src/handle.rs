//! Who is at work in which repository.

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

/// Knows which apps there are.
#[async_trait]
pub trait Apps: Send + Sync {
    /// Whether there is an app with this id that is not being destroyed.
    async fn exists(&self, app: Uuid) -> anyhow::Result<bool>;
}

/// The repositories of a platform: who is at work in which one, and what starts them.
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
    /// Held while it is made.
    pub making: tokio::sync::Mutex<()>,
    /// Held while it is swept and somebody waits to write.
    pub gate: tokio::sync::Mutex<()>,
    pub writers: AtomicUsize,
    /// Whether nothing was left in it by somebody who was killed.
    pub is_clean: AtomicBool,
    /// Held while it is packed, and while a commit of files is written.
    pub packing: tokio::sync::Mutex<()>,
    pub importing: tokio::sync::Mutex<()>,
    pub size: Measured,
}

impl Repositories {
    /// Those below `data`, of which each may use up what `limits` say, and whatever reads or writes them is one of
    /// `workers`. Each is that of one of `apps`.
    pub fn new(data: &Path, limits: GitLimits, workers: Workers, apps: Box<dyn Apps>) -> Self {
        let (uses, cleaning) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { data: data.to_owned(), limits, workers, apps, uses, cleaning }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// What git may use up.
    pub fn limits(&self) -> &GitLimits {
        &self.limits
    }

    /// What starts workers.
    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Which apps there are.
    pub(crate) fn apps(&self) -> &dyn Apps {
        self.apps.as_ref()
    }

    pub(crate) fn of(&self, app: Uuid) -> Arc<Use> {
        self.uses().entry(app).or_default().clone()
    }

    /// Forgets what it knows of the repositories that are not there, such as those of destroyed apps.
    pub fn forget_missing(&self) {
        let there: HashSet<Uuid> = self.all().into_iter().collect();
        // What somebody holds has to stay the same for all of them.
        self.uses().retain(|app, used| there.contains(app) || Arc::strong_count(used) > 1);
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Use>>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody writes into a repository. Dropped without [`Writing::ended_well`], they were killed,
/// and what they left has to be swept out.
pub struct Writing {
    used: Arc<Use>,
    well: bool,
}

impl Writing {
    /// Of somebody who has just been counted among the writers.
    pub(crate) fn new(used: Arc<Use>) -> Self {
        Self { used, well: false }
    }
}

impl Writing {
    /// Nothing is left that has to be swept out.
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
