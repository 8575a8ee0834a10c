//! Jobs, as displayed to administrators. How they run is in the crate `background`.

use api::{ids::JobId, jobs::JobState};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgExecutor, PgPool};
use uuid::Uuid;

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, List, Page, Range},
    text::Text,
};

/// The sort orders of jobs.
pub static LIST: List = List::by_descending(&[BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `jobs` and what it is about. Parameters and the output of steps may contain secrets and are not read.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: JobId,
    pub kind: String,
    pub subject: Uuid,
    /// The app of the subject, or the subject itself.
    pub app: Option<String>,
    /// The number of the build, if the subject is one.
    pub build: Option<i32>,
    /// The version of the release, if the subject is one.
    pub release: Option<i32>,
    /// The schedule that enqueued it.
    pub schedule: Option<String>,
    /// As in the table, and `waiting` for a pending one that waits for something.
    #[sqlx(try_from = "Text<JobState>")]
    pub state: JobState,
    pub progress: Option<f64>,
    pub note: Option<String>,
    pub waits_for: Option<String>,
    pub attempt: i32,
    /// How often the server died while it ran.
    pub crashes: i32,
    pub run_at: DateTime<Utc>,
    /// At most 1,000 characters.
    pub error: Option<String>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
}

/// The jobs of the table, each a [`Row`].
const ROWS: &str = "
    select j.id, j.kind, j.subject, a.name as app, b.number as build, r.version as release, j.schedule,
           case when j.state = 'pending' and j.waits_for is not null then 'waiting' else j.state end as state,
           j.progress, j.note, j.waits_for, j.attempt, j.crashes, j.run_at, left(j.error, 1000) as error,
           j.cancel_requested_at, j.created_at, j.started_at, j.finished_at, j.updated_at
    from jobs j left join builds b on b.id = j.subject left join releases r on r.id = j.subject
    left join apps a on a.id = coalesce(b.app_id, r.app_id, j.subject)";

/// A selection of jobs by their state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that have not ended.
    Unfinished,
    In(JobState),
}

impl Which {
    /// Its name in the query.
    fn name(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::In(state) => state.as_str(),
        }
    }
}

/// A filter for jobs; absent fields match everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub state: Option<Which>,
    pub kind: Option<String>,
}

/// The matching jobs.
pub async fn job_list(db: impl PgExecutor<'_>, filter: &Filter, range: &Range) -> sqlx::Result<Page<Row>> {
    let matching = format!(
        "{ROWS} where ($1::text is null or case $1
                 when 'unfinished' then j.state in ('pending', 'running')
                 when 'waiting' then j.state = 'pending' and j.waits_for is not null
                 when 'pending' then j.state = 'pending' and j.waits_for is null
                 else j.state = $1 end)
             and ($2::text is null or j.kind = $2)"
    );
    range.fetch(db, sqlx::query(AssertSqlSafe(matching)).bind(filter.state.map(Which::name)).bind(&filter.kind)).await
}

/// The job with this id.
pub async fn job_info(db: impl PgExecutor<'_>, id: JobId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(AssertSqlSafe(format!("{ROWS} where j.id = $1"))).bind(id).fetch_optional(db).await
}

/// The finished steps of a job, in order.
pub async fn job_step_list(db: impl PgExecutor<'_>, job: JobId) -> sqlx::Result<Vec<(String, DateTime<Utc>)>> {
    sqlx::query_as("select name, finished_at from job_steps where job = $1 order by finished_at, name")
        .bind(job)
        .fetch_all(db)
        .await
}

/// Unfinished jobs, then recently failed ones.
pub async fn job_list_current(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    let current = format!(
        "{ROWS} where j.state in ('pending', 'running', 'failed')
         order by j.state in ('pending', 'running') desc, j.created_at desc limit 100"
    );
    sqlx::query_as(AssertSqlSafe(current)).fetch_all(db).await
}

/// When a job or a schedule last changed; nothing before there are any.
pub async fn job_changed_at(db: impl PgExecutor<'_>) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("select greatest((select max(updated_at) from jobs), (select max(updated_at) from schedules))")
        .fetch_one(db)
        .await
}

/// Deletes jobs finished before `before`, and all finished ones of each kind except the newest `kept`.
pub async fn job_sweep(db: &PgPool, before: DateTime<Utc>, kept: i64) -> sqlx::Result<()> {
    sqlx::query(
        "delete from jobs where finished_at < $1 or id in (
             select id from (select id, row_number() over (partition by kind order by finished_at desc, id desc) as place
                             from jobs where finished_at is not null) f
             where place > $2)",
    )
    .bind(before)
    .bind(kept)
    .execute(db)
    .await?;
    Ok(())
}
