//! The interface to whatever runs dynos, and its errors.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Exit, Handle, Spec, Stats, Status};

/// Starts dynos, finds them again, and ends them. Every call may be repeated.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Starts a dyno and returns once it is on its way. A dyno that could not be started is one
    /// that has exited, with the reason in [`Exit::error`]. Starting an id again does nothing.
    async fn start(&self, spec: &Spec) -> Result<Handle, Error>;

    /// What became of a dyno, whoever started it; `None` if there is none (any more).
    async fn status(&self, id: Uuid) -> Result<Option<Status>, Error>;

    /// Every dyno that was started and not removed.
    async fn list(&self) -> Result<Vec<Status>, Error>;

    /// Sends a signal to every process of the dyno. Does nothing if it has exited.
    async fn signal(&self, id: Uuid, signal: i32) -> Result<(), Error>;

    /// Kills what is left of a dyno and forgets it with its output. Does nothing if it is gone.
    async fn remove(&self, id: Uuid) -> Result<(), Error>;

    /// What the dyno uses now; `None` if it does not run.
    async fn stats(&self, id: Uuid) -> Result<Option<Stats>, Error>;

    /// Waits until the dyno has exited. All its output is in its spool by then.
    async fn wait(&self, id: Uuid) -> Result<Exit, Error>;
}

/// Why a driver could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such dyno.
    #[error("There is no dyno {0} on this host.")]
    Unknown(Uuid),
    /// This host lacks something; the sentence says what to do.
    #[error("{0}")]
    Host(String),
    /// A file or a system call failed.
    #[error("Could not {doing}.")]
    Io {
        /// What was being done: verb and object.
        doing: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: an IO error with what was being done.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }
}
