//! Jobs: their definition, and how they are enqueued.

use anyhow::anyhow;
use api::ids::JobId;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Failure, Steps, causes};

/// The subject of jobs that work for the platform as a whole.
pub const PLATFORM: Uuid = Uuid::nil();

/// Whether an administrator can cancel jobs of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It is stopped at its next await, and [`Job::cancelled`] is called.
    Allowed,
    /// They cannot; sentences that say why, and what to do instead.
    Instead(&'static str),
}

/// Work that ends, done in steps.
#[async_trait]
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name, `<noun>.<verb>`; stored in the database, so never reuse one.
    const KIND: &'static str;
    /// The maximum number of attempts.
    const ATTEMPTS: i32 = 10;
    /// Whether an administrator can cancel it. Users cancel its subject, if at all.
    const CANCEL: Cancel;

    /// What the job may touch.
    type Context: Clone + Send + Sync + 'static;

    /// The row this job works for. A subject has at most one unfinished job of a kind.
    fn subject(&self) -> Uuid;

    /// Does the work. Any error, by `?`, means: retry later.
    async fn run(&self, cx: &Self::Context, steps: &mut Steps) -> Result<(), Failure>;

    /// Called when the job has failed for good. Leave the subject in a state that the user can see and act on. It may
    /// be called again if the server dies meanwhile, so it has to be idempotent.
    async fn give_up(&self, cx: &Self::Context, why: &anyhow::Error) -> anyhow::Result<()>;

    /// Called when an administrator has cancelled the job, after it was stopped; by default the same as if it had
    /// failed for good. Like `give_up`, it may be called again; an error means: retry later.
    async fn cancelled(&self, cx: &Self::Context) -> anyhow::Result<()> {
        self.give_up(cx, &anyhow!("cancelled by an administrator")).await
    }
}

/// What all jobs of a kind have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    pub cancel: Cancel,
}

impl Kind {
    /// The kind of `J`.
    pub const fn of<J: Job>() -> Self {
        Self { name: J::KIND, cancel: J::CANCEL }
    }
}

/// A job as it is stored.
pub(crate) struct New<'a> {
    pub kind: &'a str,
    pub subject: Uuid,
    pub params: &'a serde_json::Value,
    pub run_at: Option<DateTime<Utc>>,
    pub schedule: Option<&'a str>,
}

/// Enqueues `job`. Pass the connection of the transaction that writes the job's subject.
///
/// Returns `false` if the subject already has an unfinished job of this kind.
pub async fn enqueue<J: Job>(tx: &mut PgConnection, job: &J) -> sqlx::Result<bool> {
    enqueue_with(tx, job, None).await
}

/// Like [`enqueue`], for a job that starts at `at`, or as soon as possible afterwards.
pub async fn enqueue_at<J: Job>(tx: &mut PgConnection, job: &J, at: DateTime<Utc>) -> sqlx::Result<bool> {
    enqueue_with(tx, job, Some(at)).await
}

async fn enqueue_with<J: Job>(tx: &mut PgConnection, job: &J, run_at: Option<DateTime<Utc>>) -> sqlx::Result<bool> {
    let params = params(job)?;
    let new = New { kind: J::KIND, subject: job.subject(), params: &params, run_at, schedule: None };
    Ok(insert(tx, &new).await?.is_some())
}

pub(crate) fn params(job: &impl Serialize) -> sqlx::Result<serde_json::Value> {
    serde_json::to_value(job).map_err(|err| sqlx::Error::Encode(Box::new(err)))
}

/// Returns its id, or `None` if the subject has an unfinished job of this kind.
pub(crate) async fn insert(tx: &mut PgConnection, new: &New<'_>) -> sqlx::Result<Option<JobId>> {
    let id: Option<JobId> = sqlx::query_scalar(
        "insert into jobs (id, kind, subject, params, run_at, schedule)
         values ($1, $2, $3, $4, coalesce($5, now()), $6)
         on conflict (kind, subject) where state in ('pending', 'running') do nothing returning id",
    )
    .bind(JobId::now_v7())
    .bind(new.kind)
    .bind(new.subject)
    .bind(new.params)
    .bind(new.run_at)
    .bind(new.schedule)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(id) = id {
        // In the caller's span, so that the log shows what a request has caused.
        tracing::debug!(job.id = %id, job.kind = new.kind, job.subject = %new.subject, "enqueued a job");
        causes::note(id);
    }
    notify(tx, new.kind).await?;
    Ok(id)
}

/// Wakes idle workers when the transaction is committed.
pub(crate) async fn notify(tx: &mut PgConnection, kind: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_notify('jobs', $1)").bind(kind).execute(tx).await?;
    Ok(())
}

/// Ends the [wait](Failure::Wait) of the unfinished job of `subject`, if there is one. If the job is running and about
/// to wait, it runs again immediately, because its condition may have changed since it was checked.
pub async fn wake<J: Job>(tx: &mut PgConnection, subject: Uuid) -> sqlx::Result<()> {
    let woken = sqlx::query(
        "update jobs set woken = true, updated_at = now(),
                run_at = case when state = 'pending' and waits_for is not null then least(run_at, now()) else run_at end
         where kind = $1 and subject = $2 and state in ('pending', 'running')",
    )
    .bind(J::KIND)
    .bind(subject)
    .execute(&mut *tx)
    .await?;
    if woken.rows_affected() > 0 {
        notify(tx, J::KIND).await?;
    }
    Ok(())
}

/// Requests the cancellation of a job: if it is running, it is stopped within seconds; otherwise it does not run any
/// more. The caller checks whether its kind [allows](Cancel) that.
///
/// Returns `false` if it has ended, or if this was requested before.
pub async fn request_cancel(tx: &mut PgConnection, job: JobId) -> sqlx::Result<bool> {
    let kind: Option<String> = sqlx::query_scalar(
        "update jobs set cancel_requested_at = now(), updated_at = now(),
                run_at = case when state = 'pending' then least(run_at, now()) else run_at end
         where id = $1 and state in ('pending', 'running') and cancel_requested_at is null returning kind",
    )
    .bind(job)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(kind) = kind else { return Ok(false) };
    notify(tx, &kind).await?;
    Ok(true)
}
