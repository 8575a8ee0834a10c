//! Jobs, as displayed to administrators. How they run is in the crate `background`.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// A row of `jobs`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub kind: String,
    pub subject: Uuid,
    pub state: String,
    pub attempt: i32,
    /// How often the server died while it ran.
    pub crashes: i32,
    pub run_at: DateTime<Utc>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Unfinished jobs, then recently failed ones.
pub async fn job_list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select id, kind, subject, state, attempt, crashes, run_at, left(error, 1000) as error, created_at from jobs
         where state <> 'succeeded' order by state in ('pending', 'running') desc, created_at desc limit 100",
    )
    .fetch_all(db)
    .await
}

/// Deletes jobs finished before `before`.
pub async fn job_sweep(db: &PgPool, before: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from jobs where finished_at < $1").bind(before).execute(db).await?;
    Ok(())
}
