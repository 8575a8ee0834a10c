//! The background tasks of a platform.

use std::sync::{Mutex, OnceLock};

use tokio::task::JoinHandle;

/// Workers, reconcilers and tasks; dropped to stop them.
#[derive(Default)]
pub(crate) struct Work {
    /// Those of all workers.
    pub leases: Option<background::Leases>,
    pub workers: Vec<background::Worker>,
    pub unpacking: Option<background::Worker>,
    /// All kinds of jobs.
    pub kinds: Vec<background::Kind>,
    pub scheduler: Option<background::Scheduler>,
    pub reconcilers: Vec<background::Driver>,
    pub tasks: Vec<JoinHandle<()>>,
}

/// Begun once, stopped at the end.
#[derive(Default)]
pub(crate) struct Background(OnceLock<Mutex<Work>>);

impl Background {
    /// Keeps what was started.
    ///
    /// # Errors
    /// When something was started before.
    pub fn begin(&self, work: Work) -> anyhow::Result<()> {
        self.0.set(Mutex::new(work)).map_err(|_| anyhow::anyhow!("the platform was started twice"))
    }

    /// Looks at, or changes, what runs; nothing before it was begun.
    pub fn with<T>(&self, look: impl FnOnce(&mut Work) -> T) -> Option<T> {
        self.0.get().and_then(|work| work.lock().ok()).map(|mut work| look(&mut work))
    }

    /// The last runs of the reconcilers.
    pub fn kind(&self, name: &str) -> Option<background::Kind> {
        self.with(|work| work.kinds.iter().copied().find(|kind| kind.name == name)).flatten()
    }

    pub fn seen(&self) -> Vec<background::Seen> {
        self.with(|work| work.reconcilers.iter().map(background::Driver::seen).collect()).unwrap_or_default()
    }
}
