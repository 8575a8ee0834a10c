//! Schedules, as displayed to administrators. The crate `background` writes and follows them.

use api::{
    ids::{JobId, ScheduleId},
    jobs::JobState,
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgExecutor};

use crate::{
    pages::{BY_ID, BY_NAME, List, Page, Range},
    text::MaybeText,
};

/// The sort orders of schedules.
pub static LIST: List = List::by(&[BY_NAME, BY_ID]);

/// A row of `schedules` and the outcome of its last job.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: ScheduleId,
    pub name: String,
    pub about: String,
    pub cron: String,
    pub zone: String,
    pub kind: String,
    pub next_at: Option<DateTime<Utc>>,
    pub last_at: Option<DateTime<Utc>>,
    /// Absent if there was none yet, or if it was removed since.
    pub last_job: Option<JobId>,
    /// Its state, as in the table of jobs.
    #[sqlx(try_from = "MaybeText<JobState>")]
    pub last_state: Option<JobState>,
}

const ROWS: &str = "
    select s.id, s.name, s.about, s.cron, s.zone, s.kind, s.next_at, s.last_at, s.last_job, j.state as last_state
    from schedules s left join jobs j on j.id = s.last_job";

/// All schedules.
pub async fn schedule_list(db: impl PgExecutor<'_>, range: &Range) -> sqlx::Result<Page<Row>> {
    range.fetch(db, sqlx::query(ROWS)).await
}

/// The schedule with this name.
pub async fn schedule_by_name(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(AssertSqlSafe(format!("{ROWS} where s.name = $1"))).bind(name).fetch_optional(db).await
}
