//! The steps of one job: which are done, and what they returned.

use std::future::Future;

use api::ids::{JobId, LeaseId};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgPool;

use crate::{Failure, Progress};

/// Records what a job has done, so that a retry does not do it again.
pub struct Steps {
    pub(crate) pool: PgPool,
    pub(crate) job: JobId,
    pub(crate) lease: LeaseId,
    pub(crate) progress: Progress,
    #[cfg(feature = "testing")]
    pub(crate) crash: crate::crash_point::CrashPoint,
}

impl Steps {
    /// Reports the progress of the job.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Runs `body` once. If the step `name` finished in an earlier attempt, returns its stored result.
    pub async fn once<T, F>(&mut self, name: &str, body: F) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned + Send,
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let output: Option<serde_json::Value> =
            sqlx::query_scalar("select output from job_steps where job = $1 and name = $2")
                .bind(self.job)
                .bind(name)
                .fetch_optional(&self.pool)
                .await?;
        if let Some(output) = output {
            return Ok(serde_json::from_value(output)?);
        }
        self.maybe_crash()?;
        let output = body.await;
        if matches!(output, Err(Failure::Wait { .. })) {
            self.waits();
        }
        let output = output?;
        self.maybe_crash()?;
        self.record(name, &serde_json::to_value(&output)?).await?;
        self.maybe_crash()?;
        Ok(output)
    }

    /// Records a finished step, but only while this worker still holds the lease.
    async fn record(&self, name: &str, output: &serde_json::Value) -> Result<(), Failure> {
        let recorded = sqlx::query(
            "insert into job_steps (job, name, output)
             select id, $3, $4 from jobs where id = $1 and lease = $2",
        )
        .bind(self.job)
        .bind(self.lease)
        .bind(name)
        .bind(output)
        .execute(&self.pool)
        .await?;
        match recorded.rows_affected() {
            1 => Ok(()),
            _ => Err(Failure::Interrupted),
        }
    }

    #[cfg(feature = "testing")]
    fn maybe_crash(&mut self) -> Result<(), Failure> {
        self.crash.reached()
    }

    #[cfg(not(feature = "testing"))]
    fn maybe_crash(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// The step starts again after the wait, and is counted then.
    #[cfg(feature = "testing")]
    fn waits(&mut self) {
        self.crash.not_reached();
    }

    #[cfg(not(feature = "testing"))]
    fn waits(&mut self) {}
}
