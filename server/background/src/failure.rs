//! How a run of a job ends before the job is done.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Why a run of a job stopped early.
#[derive(Debug)]
pub enum Failure {
    /// May work later: retry with backoff. `?` turns any error into this.
    Retry(anyhow::Error),
    /// Will never work (a broken Procfile, say): fail now.
    Final(anyhow::Error),
    /// Nothing failed, but there is nothing to do before `until`: the job goes back into the queue without using up an
    /// attempt, and holds no worker. It runs again from its first unfinished step at that time, or as soon as it is
    /// [woken](crate::wake). `what` completes "waiting for …" and is shown to administrators.
    Wait { until: DateTime<Utc>, what: String },
    /// Another worker has the lease, or the process is shutting down: record nothing.
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
