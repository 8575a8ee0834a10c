//! What a build can end in, other than a slug.

/// Why there is no slug. The variants are for three readers: the one who pushed, nobody (they asked
/// for it), and the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The app's fault. `why` is the end of "Push rejected, …", such as `failed to compile Node.js
    /// app`; the lines that explain it are already in the output.
    #[error("{why}")]
    Failed {
        /// Half a sentence, without a full stop.
        why: String,
    },
    /// The caller cancelled it.
    #[error("the build was cancelled")]
    Cancelled,
    /// The platform's fault: not to be shown to the one who pushed.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Error {
    /// The app's fault, in half a sentence.
    pub(crate) fn failed(why: impl Into<String>) -> Error {
        Error::Failed { why: why.into() }
    }
}
