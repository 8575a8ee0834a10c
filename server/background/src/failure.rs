//! How a run of a job ends before the job is done.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Why a run of a job stopped early.
#[derive(Debug)]
pub enum Failure {
    /// Might work later: try again with backoff. What `?` makes of any error.
    Retry(anyhow::Error),
    /// Will never work (a broken Procfile, say): give up now.
    Final(anyhow::Error),
    /// Nothing failed, but there is nothing to do before `until`: the job is put back without using up an attempt and
    /// holds no worker. It runs again from its first unfinished step then, or as soon as somebody [wakes](crate::wake)
    /// it. `what` completes "waiting for …" and is shown to administrators.
    Wait { until: DateTime<Utc>, what: String },
    /// Another worker has the lease, or the process is going away: touch nothing.
    Interrupted,
}

impl Failure {
    /// A [`Failure::Wait`] of this length.
    pub fn wait(time: Duration, what: impl Into<String>) -> Self {
        Self::Wait { until: Utc::now() + time, what: what.into() }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(err: E) -> Self {
        Self::Retry(err.into())
    }
}
