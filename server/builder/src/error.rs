//! Errors of builds.

/// Why there is no slug: an error of the app, a cancellation, or an error of the platform.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the app. `why` is the end of "Push rejected, …", such as `failed to compile Node.js app`; the output
    /// has the details.
    #[error("{why}")]
    Failed {
        /// A clause, without a full stop.
        why: String,
    },
    /// The caller cancelled it.
    #[error("the build was cancelled")]
    Cancelled,
    /// An error of the platform, not to be shown to the client.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Error {
    /// An error of the app; `why` is a clause.
    pub(crate) fn failed(why: impl Into<String>) -> Error {
        Error::Failed { why: why.into() }
    }
}
