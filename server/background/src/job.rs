//! What a job is, and how one gets into the queue.

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Failure, Steps};

/// Work with an end, done in steps.
#[async_trait]
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name, `<noun>.<verb>`; stored in the database, so never reuse one.
    const KIND: &'static str;
    /// How often to try before giving up.
    const ATTEMPTS: i32 = 10;

    /// What the job may touch.
    type Context: Clone + Send + Sync + 'static;

    /// The row this job works for. A subject has at most one unfinished job of a kind.
    fn subject(&self) -> Uuid;

    /// Does the work. `?` on any error means: try again later.
    async fn run(&self, cx: &Self::Context, steps: &mut Steps) -> Result<(), Failure>;

    /// Called when the job has failed for good. Leave the subject in a state the user can see
    /// and act on. May be called again when the server dies meanwhile: be idempotent.
    async fn give_up(&self, cx: &Self::Context, why: &anyhow::Error) -> anyhow::Result<()>;
}

/// Puts `job` in the queue. Pass the connection of the transaction that writes the job's subject.
///
/// Returns `false` if the subject already has an unfinished job of this kind.
pub async fn enqueue<J: Job>(tx: &mut PgConnection, job: &J) -> sqlx::Result<bool> {
    let params = serde_json::to_value(job).map_err(|err| sqlx::Error::Encode(Box::new(err)))?;
    let done = sqlx::query(
        "insert into jobs (id, kind, subject, params) values ($1, $2, $3, $4)
         on conflict (kind, subject) where state in ('pending', 'running') do nothing",
    )
    .bind(Uuid::now_v7())
    .bind(J::KIND)
    .bind(job.subject())
    .bind(params)
    .execute(&mut *tx)
    .await?;
    sqlx::query("select pg_notify('jobs', $1)").bind(J::KIND).execute(tx).await?;
    Ok(done.rows_affected() == 1)
}
