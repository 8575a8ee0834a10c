//! Dynos: rows and queries.

use std::collections::HashSet;

use api::{
    dynos::DynoState,
    ids::{AppId, DynoId, ReleaseId, RunId},
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, Kind, List, Order, Page, Range},
    text::Text,
};

/// The sort orders of an app's dynos: `web.2` before `web.10`.
pub static LIST: List = List::by(&[
    Order::unique("name", Kind::Text, "t.name")
        .compared_by("split_part(#, '.', 1) || '.' || lpad(split_part(#, '.', 2), 6, '0')"),
    BY_ID,
    BY_CREATION,
    BY_CHANGE,
]);

/// A row of `dynos`.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Row {
    pub id: DynoId,
    pub app_id: AppId,
    pub name: String,
    #[sqlx(rename = "type")]
    pub kind: String,
    pub ordinal: i32,
    pub size: String,
    pub command: String,
    pub release_id: ReleaseId,
    pub version: i32,
    #[sqlx(try_from = "Text<DynoState>")]
    pub state: DynoState,
    pub run_id: RunId,
    pub addr: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub retiring_at: Option<DateTime<Utc>>,
    /// When it was taken out of the routes; once it is down, when it got SIGTERM.
    pub stopping_at: Option<DateTime<Utc>>,
    pub killed_at: Option<DateTime<Utc>>,
    pub starts: i32,
    pub crashes: i32,
    pub next_start_at: Option<DateTime<Utc>>,
    pub last_exit: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Every dyno of these apps, or of all.
pub async fn dyno_all(db: impl PgExecutor<'_>, only: Option<&[AppId]>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select * from dynos where $1::uuid[] is null or app_id = any($1) order by app_id, type, ordinal, created_at",
    )
    .bind(only)
    .fetch_all(db)
    .await
}

/// Which of these processes are desired: those of dynos, of one-off dynos, of running release phases, and of running
/// builds.
pub async fn dyno_wanted(db: impl PgExecutor<'_>, runs: &[RunId]) -> sqlx::Result<HashSet<RunId>> {
    let wanted = sqlx::query_scalar(
        "select w.id from unnest($1::uuid[]) w(id)
         where w.id in (select run_id from dynos)
             or w.id in (select run_id from one_offs where ended_at is null)
             or w.id in (select id from releases where status = 'pending')
             or w.id in (select id from builds where status = 'pending')",
    );
    Ok(wanted.bind(runs).fetch_all(db).await?.into_iter().collect())
}

/// The dynos of these apps.
pub async fn dyno_of(db: impl PgExecutor<'_>, apps: &[AppId]) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from dynos where app_id = any($1) order by app_id, type, ordinal, created_at")
        .bind(apps)
        .fetch_all(db)
        .await
}

/// The dynos of an app as displayed: one per name, the most relevant, as defined in `platform`: up before starting
/// before crashed; newer before older. With the one-off dynos that have not ended.
pub async fn dyno_list_shown(db: impl PgExecutor<'_>, app: AppId, range: &Range) -> sqlx::Result<Page<Row>> {
    let list = sqlx::query(
        "(select distinct on (name) id, app_id, name, type, ordinal, size, command, release_id, version, state, run_id,
              addr, started_at, retiring_at, stopping_at, killed_at, starts, crashes, next_start_at, last_exit,
              created_at, updated_at
          from dynos where app_id = $1 and stopping_at is null
          order by name, state = 'up' desc, state = 'starting' desc, retiring_at is null desc, version desc,
              created_at desc)
         union all
         select id, app_id, name, type, 0, size, command, release_id, version, state, run_id,
             null, started_at, null, stopping_at, null, 1, 0, null, last_exit, created_at, updated_at
         from one_offs where app_id = $1 and ended_at is null",
    );
    range.fetch(db, list.bind(app)).await
}

/// All dynos of an app.
pub async fn dyno_list(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from dynos where app_id = $1 order by type, ordinal, created_at")
        .bind(app)
        .fetch_all(db)
        .await
}

/// Inserts or updates a dyno.
pub async fn dyno_save(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into dynos (id, app_id, name, type, ordinal, size, command, release_id, version, state, run_id, addr,
                            started_at, retiring_at, stopping_at, killed_at, starts, crashes, next_start_at, last_exit,
                            created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
         on conflict (id) do update set state = excluded.state, run_id = excluded.run_id, addr = excluded.addr,
             started_at = excluded.started_at, killed_at = excluded.killed_at, starts = excluded.starts,
             crashes = excluded.crashes, next_start_at = excluded.next_start_at, last_exit = excluded.last_exit,
             retiring_at = coalesce(dynos.retiring_at, excluded.retiring_at),
             stopping_at = coalesce(dynos.stopping_at, excluded.stopping_at), updated_at = excluded.updated_at",
    )
    .bind(row.id)
    .bind(row.app_id)
    .bind(&row.name)
    .bind(&row.kind)
    .bind(row.ordinal)
    .bind(&row.size)
    .bind(&row.command)
    .bind(row.release_id)
    .bind(row.version)
    .bind(Text(row.state))
    .bind(row.run_id)
    .bind(&row.addr)
    .bind(row.started_at)
    .bind(row.retiring_at)
    .bind(row.stopping_at)
    .bind(row.killed_at)
    .bind(row.starts)
    .bind(row.crashes)
    .bind(row.next_start_at)
    .bind(&row.last_exit)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes a dyno.
pub async fn dyno_delete(db: impl PgExecutor<'_>, id: DynoId) -> sqlx::Result<()> {
    sqlx::query("delete from dynos where id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// A selection of an app's dynos.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    All,
    Name(&'a str),
    Type(&'a str),
}

impl Which<'_> {
    fn name(&self) -> Option<&str> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    fn kind(&self) -> Option<&str> {
        if let Self::Type(kind) = self { Some(kind) } else { None }
    }
}

/// Requests replacements for these dynos: the old ones stop when the new ones are up.
pub async fn dyno_retire(
    db: impl PgExecutor<'_>,
    app: AppId,
    which: Which<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update dynos set retiring_at = $4 where app_id = $1 and ($2::text is null or name = $2)
           and ($3::text is null or type = $3) and retiring_at is null and stopping_at is null",
    )
    .bind(app)
    .bind(which.name())
    .bind(which.kind())
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Requests these dynos to stop now. The reconciler starts new ones if the formation requires them.
pub async fn dyno_stop(db: impl PgExecutor<'_>, app: AppId, which: Which<'_>, now: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update dynos set stopping_at = $4 where app_id = $1 and ($2::text is null or name = $2)
           and ($3::text is null or type = $3) and stopping_at is null",
    )
    .bind(app)
    .bind(which.name())
    .bind(which.kind())
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Begins to stop these dynos, unless that has begun before.
pub async fn dyno_withdraw(db: impl PgExecutor<'_>, dynos: &[DynoId], now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update dynos set stopping_at = $2 where id = any($1) and stopping_at is null")
        .bind(dynos)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Records that a dyno got SIGTERM. From now on, `stopping_at` is that time.
pub async fn dyno_down(db: impl PgExecutor<'_>, id: DynoId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update dynos set state = 'down', stopping_at = $2, updated_at = $2 where id = $1")
        .bind(id)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}
