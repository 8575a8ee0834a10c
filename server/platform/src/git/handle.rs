//! The git state of the platform: writers per repository, limits, caches.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use base::places::Places;
use uuid::Uuid;
use worker::Workers;

use super::{histories::Histories, limits, rooms::Rooms};

/// The writers per repository, and the workers that run git.
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
pub(super) struct Use {
    /// Held while it is swept and a writer waits.
    pub gate: tokio::sync::Mutex<()>,
    pub writers: AtomicUsize,
    /// Whether it is free of leftovers of a killed git.
    pub is_clean: AtomicBool,
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

    /// The disk space reserved by pushes in progress.
    pub(super) fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    pub(super) fn of(&self, app: Uuid) -> Arc<Use> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).entry(app).or_default().clone()
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
    /// Of somebody who has just been counted among the writers.
    pub(super) fn new(used: Arc<Use>) -> Self {
        Self { used, well: false }
    }
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
