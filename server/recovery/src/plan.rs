//! What is backed up, where to, and what is kept.

use std::{path::PathBuf, sync::Arc};

use base::{Base, wrapped_key::WrappedKey};

use crate::target::Target;

/// Reports progress: a fraction, and what is being done.
pub type Progress = Arc<dyn Fn(f64, &str) + Send + Sync>;

/// What is backed up, and where to.
#[derive(Clone)]
pub struct Plan {
    pub base: Base,
    /// The run directory, in which the temporary database has its socket.
    pub run: PathBuf,
    pub target: Target,
    /// The master key, encrypted with a passphrase; nothing: as it is in the target.
    pub wrapped_key: Option<WrappedKey>,
    pub with_logs: bool,
    /// Days whose last backup is kept.
    pub keep: u32,
    pub progress: Progress,
}

impl Plan {
    /// Where temporary files are created. They have no name, so that a killed process leaves none.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.base.settings().data.join("tmp")
    }
}
