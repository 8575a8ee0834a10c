//! One-off dynos: rows and queries.

use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, DynoId, ReleaseId, RunId},
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::{accounts::LET_IN, text::Text};

/// A row of `one_offs`.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Row {
    pub id: DynoId,
    pub app_id: AppId,
    pub name: String,
    #[sqlx(rename = "type")]
    pub kind: String,
    pub size: String,
    pub command: String,
    pub release_id: ReleaseId,
    pub version: i32,
    pub run_id: RunId,
    /// The environment of the call, encrypted. Lists leave it out: it can be large.
    pub env: Option<Vec<u8>>,
    pub attached: bool,
    pub columns: Option<i32>,
    pub lines: Option<i32>,
    /// In seconds.
    pub time_limit: i32,
    pub created_by: Option<AccountId>,
    #[sqlx(try_from = "Text<DynoState>")]
    pub state: DynoState,
    pub started_at: Option<DateTime<Utc>>,
    pub stopping_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub exit_status: Option<i32>,
    pub last_exit: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Inserts a one-off dyno that is to be started. Fails if one with its name runs in the app.
pub async fn one_off_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into one_offs (id, app_id, name, type, size, command, release_id, version, run_id, env, attached,
                               columns, lines, time_limit, created_by, state, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)",
    )
    .bind(row.id)
    .bind(row.app_id)
    .bind(&row.name)
    .bind(&row.kind)
    .bind(&row.size)
    .bind(&row.command)
    .bind(row.release_id)
    .bind(row.version)
    .bind(row.run_id)
    .bind(&row.env)
    .bind(row.attached)
    .bind(row.columns)
    .bind(row.lines)
    .bind(row.time_limit)
    .bind(row.created_by)
    .bind(Text(row.state))
    .bind(row.created_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The columns of lists.
const LISTED: &str = "id, app_id, name, type, size, command, release_id, version, run_id, null::bytea as env,
        attached, columns, lines, time_limit, created_by, state, started_at, stopping_at, ended_at, exit_status,
        last_exit, created_at, updated_at";

/// The one-off dynos of all apps that have not ended, oldest first.
pub async fn one_off_running(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    let running = format!("select {LISTED} from one_offs where ended_at is null order by created_at, id");
    sqlx::query_as(sqlx::AssertSqlSafe(running)).fetch_all(db).await
}

/// The environment of the call that has started a one-off dyno, encrypted; `None` without one, and after the end.
pub async fn one_off_env(db: impl PgExecutor<'_>, id: DynoId) -> sqlx::Result<Option<Vec<u8>>> {
    let env = sqlx::query_scalar::<_, Option<Vec<u8>>>("select env from one_offs where id = $1").bind(id);
    Ok(env.fetch_optional(db).await?.flatten())
}

/// The one-off dynos of an app that have not ended, oldest first.
pub async fn one_off_list(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Vec<Row>> {
    let list = format!("select {LISTED} from one_offs where app_id = $1 and ended_at is null order by created_at, id");
    sqlx::query_as(sqlx::AssertSqlSafe(list)).bind(app).fetch_all(db).await
}

/// The names of an app's one-off dynos that have not ended.
pub async fn one_off_names(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select name from one_offs where app_id = $1 and ended_at is null").bind(app).fetch_all(db).await
}

/// The newest one-off dyno of an app with this name or id, also if it has ended.
pub async fn one_off_info(db: impl PgExecutor<'_>, app: AppId, name: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select * from one_offs where app_id = $1 and (name = $2 or id::text = $2) order by created_at desc limit 1",
    )
    .bind(app)
    .bind(name)
    .fetch_optional(db)
    .await
}

/// Records that the command runs.
pub async fn one_off_up(db: impl PgExecutor<'_>, id: DynoId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update one_offs set state = 'up', started_at = $2, updated_at = $2 where id = $1 and state = 'starting'",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Requests that the running one-off dynos of an app stop: all, or one by its name. Returns how many.
pub async fn one_off_stop(
    db: impl PgExecutor<'_>,
    app: AppId,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update one_offs set stopping_at = $3, state = 'down', updated_at = $3
         where app_id = $1 and ($2::text is null or name = $2) and ended_at is null and stopping_at is null",
    )
    .bind(app)
    .bind(name)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Requests that the one-off dynos of suspended accounts, of removed ones and of their service accounts stop.
pub async fn one_off_stop_suspended(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    let stop = format!(
        "update one_offs t set stopping_at = $1, state = 'down', updated_at = $1
         where ended_at is null and stopping_at is null and exists (
             select 1 from accounts a where a.id = t.created_by and not {LET_IN})"
    );
    sqlx::query(sqlx::AssertSqlSafe(stop)).bind(now).execute(db).await?;
    Ok(())
}

/// How a one-off dyno ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// `None` if it never ran.
    pub status: Option<i32>,
    pub sentence: &'a str,
}

/// Records the end of a one-off dyno, and forgets its environment. False if that was recorded before.
pub async fn one_off_end(db: impl PgExecutor<'_>, id: DynoId, end: End<'_>, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update one_offs set state = 'down', ended_at = $2, updated_at = $2, exit_status = $3, last_exit = $4, env = null
         where id = $1 and ended_at is null",
    )
    .bind(id)
    .bind(now)
    .bind(end.status)
    .bind(end.sentence)
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes ended one-off dynos: those that ended before `before`, and in each app all but the newest `most`. Returns how
/// many.
pub async fn one_off_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>, most: i64) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        "delete from one_offs where id in (
             select id from (select id, ended_at, row_number() over (partition by app_id order by created_at desc) as place
                             from one_offs where ended_at is not null) ended
             where ended_at < $1 or place > $2)",
    )
    .bind(before)
    .bind(most)
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
