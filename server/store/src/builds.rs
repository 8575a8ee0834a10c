//! Builds: rows and queries.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// A row of `builds`, with the address of whoever asked for it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub app_id: Uuid,
    pub number: i32,
    pub status: String,
    pub account_id: Uuid,
    pub email: String,
    pub stack: String,
    pub buildpacks: Vec<String>,
    pub source_url: Option<String>,
    pub source_version: Option<String>,
    pub source_description: Option<String>,
    pub source_checksum: Option<String>,
    pub git_ref: Option<String>,
    pub git_old: Option<String>,
    pub git_new: Option<String>,
    pub slug_id: Option<Uuid>,
    pub release_id: Option<Uuid>,
    pub error: Option<String>,
    pub cancelled_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

const SELECT: &str = "select b.*, u.email from builds b join accounts u on u.id = b.account_id ";

/// What a new build needs; its number is counted here.
#[derive(Clone, Debug, Default)]
pub struct New {
    pub id: Uuid,
    pub app: Uuid,
    pub account: Uuid,
    pub stack: String,
    pub buildpacks: Vec<String>,
    pub source_url: Option<String>,
    pub source_version: Option<String>,
    pub source_description: Option<String>,
    pub source_checksum: Option<String>,
    /// ref, old id, new id
    pub git: Option<(String, String, String)>,
    pub now: DateTime<Utc>,
}

/// Adds a build with the next number. Lock the app first.
pub async fn build_create(db: &mut PgConnection, new: &New) -> sqlx::Result<()> {
    let (git_ref, git_old, git_new) = new.git.clone().map(|(r, o, n)| (Some(r), Some(o), Some(n))).unwrap_or_default();
    sqlx::query(
        "insert into builds (id, app_id, number, status, account_id, stack, buildpacks, source_url, source_version,
                             source_description, source_checksum, git_ref, git_old, git_new, created_at, updated_at)
         select $1, $2, coalesce(max(number), 0) + 1, 'pending', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13
         from builds where app_id = $2",
    )
    .bind(new.id)
    .bind(new.app)
    .bind(new.account)
    .bind(&new.stack)
    .bind(&new.buildpacks)
    .bind(&new.source_url)
    .bind(&new.source_version)
    .bind(&new.source_description)
    .bind(&new.source_checksum)
    .bind(git_ref)
    .bind(git_old)
    .bind(git_new)
    .bind(new.now)
    .execute(db)
    .await?;
    Ok(())
}

/// The build with this id.
pub async fn build_info(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where b.id = $1"))).bind(id).fetch_optional(db).await
}

/// All builds of an app, oldest first.
pub async fn build_list(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where b.app_id = $1 order by b.number")))
        .bind(app)
        .fetch_all(db)
        .await
}

/// The newest builds of an app, newest first.
pub async fn build_newest(db: impl PgExecutor<'_>, app: Uuid, most: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where b.app_id = $1 order by b.number desc limit $2")))
        .bind(app)
        .bind(most)
        .fetch_all(db)
        .await
}

/// All builds that have not ended, in the order of the queue.
pub async fn build_pending(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where b.status = 'pending' order by b.created_at, b.id")))
        .fetch_all(db)
        .await
}

/// Takes a place among the builds that run. Returns `false` when all `most` places are taken or
/// an earlier build of the same app has not ended. A build that runs already keeps its place.
pub async fn build_start(db: &mut PgConnection, id: Uuid, most: i64, now: DateTime<Utc>) -> sqlx::Result<bool> {
    // One at a time, or two builds might both see the last place free.
    sqlx::query("select pg_advisory_xact_lock(7301)").execute(&mut *db).await?;
    let started = sqlx::query(
        "update builds b set started_at = coalesce(started_at, $3), updated_at = $3
         where id = $1 and status = 'pending' and (started_at is not null
           or (select count(*) from builds r where r.status = 'pending' and r.started_at is not null) < $2
              and not exists (select 1 from builds e where e.app_id = b.app_id and e.status = 'pending'
                                and e.number < b.number))",
    )
    .bind(id)
    .bind(most)
    .bind(now)
    .execute(db)
    .await?;
    Ok(started.rows_affected() == 1)
}

/// Notes the slug that a build made.
pub async fn build_slug(db: impl PgExecutor<'_>, id: Uuid, slug: Uuid) -> sqlx::Result<()> {
    sqlx::query("update builds set slug_id = $2 where id = $1").bind(id).bind(slug).execute(db).await?;
    Ok(())
}

/// Ends a build well. Returns `false` if it had ended already.
pub async fn build_succeed(db: impl PgExecutor<'_>, id: Uuid, release: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update builds set status = 'succeeded', release_id = $2, updated_at = $3 where id = $1 and status = 'pending'",
    )
    .bind(id)
    .bind(release)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Ends a build badly. Returns `false` if it had ended already.
pub async fn build_fail(db: impl PgExecutor<'_>, id: Uuid, error: &str, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update builds set status = 'failed', error = $2, updated_at = $3 where id = $1 and status = 'pending'",
    )
    .bind(id)
    .bind(error)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Asks a build to stop. Returns `false` if it has a release already, or has ended.
pub async fn build_cancel(db: impl PgExecutor<'_>, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update builds set cancelled_at = coalesce(cancelled_at, $2) where id = $1 and status = 'pending'
           and release_id is null",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Notes the release that a build is about to make: from then on it can no longer be cancelled.
/// Returns `false` if it was cancelled before.
pub async fn build_releases(db: impl PgExecutor<'_>, id: Uuid, release: Uuid) -> sqlx::Result<bool> {
    let moved =
        sqlx::query("update builds set release_id = $2 where id = $1 and status = 'pending' and cancelled_at is null")
            .bind(id)
            .bind(release)
            .execute(db)
            .await?;
    Ok(moved.rows_affected() == 1)
}
