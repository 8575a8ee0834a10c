//! How a run of a job ends before the job is done.

/// Why a run of a job stopped early.
#[derive(Debug)]
pub enum Failure {
    /// Might work later: try again with backoff. What `?` makes of any error.
    Retry(anyhow::Error),
    /// Will never work (a broken Procfile, say): give up now.
    Final(anyhow::Error),
    /// Another worker has the lease, or the process is going away: touch nothing.
    Interrupted,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(err: E) -> Self {
        Self::Retry(err.into())
    }
}
