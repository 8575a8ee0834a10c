//! What is installed, and which work on it is in progress.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use builder::Installed;
use tokio::sync::OwnedMutexGuard;

use super::eviction::Holds;

/// The name of the folder in the data directory.
const FOLDER: &str = "runtimes";

/// The runtimes of this server.
#[derive(Debug)]
pub(crate) struct Runtimes {
    pub(super) installed: Installed,
    pub(super) holds: Holds,
    /// One lock for each list and each version.
    busy: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Runtimes {
    /// Opens the runtimes in the data directory.
    ///
    /// # Errors
    /// If the folder cannot be created, or leftovers cannot be removed.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        let installed = Installed::open(&data.join(FOLDER)).context("open the runtimes")?;
        Ok(Self { installed, holds: Holds::default(), busy: Mutex::default() })
    }

    /// Waits until nobody else works on `key`.
    pub(super) async fn alone(&self, key: String) -> OwnedMutexGuard<()> {
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, lock| Arc::strong_count(lock) > 1);
            busy.entry(key).or_default().clone()
        };
        lock.lock_owned().await
    }
}
