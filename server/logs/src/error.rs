//! What can go wrong with logs.

/// Why lines could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The person's filter is at fault; the sentence says how.
    #[error("{0}")]
    Filter(String),
    /// It would have taken too long, or nobody waits for it any more.
    #[error(
        "The search was stopped, because it went through too much of the log. Narrow it with since, until or a dyno."
    )]
    Stopped,
    /// The machine is at fault.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}
