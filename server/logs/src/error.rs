//! Errors of reading and writing logs.

/// Why lines could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is invalid; the message says why.
    #[error("{0}")]
    Filter(String),
    /// It would have taken too long, or was cancelled.
    #[error("The search was stopped because it covers too much of the log. Narrow it with since, until or a dyno.")]
    Stopped,
    /// An IO error.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}
