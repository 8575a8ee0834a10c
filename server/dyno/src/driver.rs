//! The interface of dyno drivers, and their errors.

use api::ids::RunId;
use async_trait::async_trait;
use spool::{Cursor, Source};

use crate::{Attachment, Exec, Exit, Handle, Spec, Stats, Status};

/// Starts dynos, finds them again, and stops them. All calls are idempotent.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Starts a dyno without waiting for its command. One that could not be started counts as exited, with the reason
    /// in [`Exit::error`]. Starting an id again does nothing.
    async fn start(&self, spec: &Spec) -> Result<Handle, Error>;

    /// The state of a dyno, whichever driver started it; `None` if it does not exist (any more).
    async fn status(&self, id: RunId) -> Result<Option<Status>, Error>;

    /// Every dyno that was started and not removed.
    async fn list(&self) -> Result<Vec<Status>, Error>;

    /// Sends a signal to every process of the dyno. Does nothing if it has exited.
    async fn signal(&self, id: RunId, signal: i32) -> Result<(), Error>;

    /// Kills a dyno and removes it with its output. Does nothing if it does not exist.
    async fn remove(&self, id: RunId) -> Result<(), Error>;

    /// The resource usage of the dyno; `None` if it is not running.
    async fn stats(&self, id: RunId) -> Result<Option<Stats>, Error>;

    /// The output of a dyno from a cursor on, at which a batch of an earlier source ended; the default is the start. It
    /// ends when the dyno has exited, or does not exist, and everything has been read. Entries are kept until
    /// [`Source::forget_consumed`].
    fn output(&self, id: RunId, from: Cursor) -> Box<dyn Source>;

    /// Attaches to a process with a [`Terminal`](crate::Terminal). `None` if that is not possible now: its command does
    /// not run yet or has ended, or it was attached to before.
    async fn attach(&self, id: RunId) -> Result<Option<Attachment>, Error>;

    /// Runs a further process in a running dyno, and attaches to it. It ends with the dyno, and with this server.
    async fn exec(&self, id: RunId, exec: &Exec) -> Result<Attachment, Error>;

    /// Waits until the dyno has exited. All its output has been written by then.
    async fn wait(&self, id: RunId) -> Result<Exit, Error>;
}

/// Why an operation of a driver failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such dyno.
    #[error("There is no dyno {0} on this host.")]
    Unknown(RunId),
    /// This host lacks a requirement; the message says what to do.
    #[error("{0}")]
    Host(String),
    /// A file or a system call failed.
    #[error("Could not {doing}.")]
    Io {
        /// The failed operation: verb and object.
        doing: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl From<shim::Error> for Error {
    fn from(error: shim::Error) -> Error {
        match error {
            shim::Error::Host(sentence) => Error::Host(sentence),
            shim::Error::Io { doing, source } => Error::Io { doing, source },
        }
    }
}

impl Error {
    /// For `map_err`: an IO error with the failed operation.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }
}
