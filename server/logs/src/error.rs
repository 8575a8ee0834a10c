//! What can go wrong with logs.

/// Why lines could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The person's filter is at fault; the sentence says how.
    #[error("{0}")]
    Filter(String),
    /// The machine is at fault.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}
