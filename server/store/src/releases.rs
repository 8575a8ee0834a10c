//! Releases: rows and queries.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// A row of `releases`, with the address of whoever made it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub app_id: Uuid,
    pub version: i32,
    pub status: String,
    pub description: String,
    pub account_id: Uuid,
    pub email: String,
    pub slug_id: Option<Uuid>,
    pub config: Vec<u8>,
    pub has_output: bool,
    pub commit: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The first line of what the commit says; read by [`release_newest_all`] only.
    #[sqlx(default)]
    pub message: Option<String>,
}

const SELECT: &str = "select r.*, u.email from releases r join accounts u on u.id = r.account_id ";

/// What a new release needs; its version is counted here.
#[derive(Debug)]
pub struct New<'a> {
    pub id: Uuid,
    pub app: Uuid,
    pub status: &'a str,
    pub description: &'a str,
    pub account: Uuid,
    pub slug: Option<Uuid>,
    pub config: &'a [u8],
    pub commit: Option<&'a str>,
    pub now: DateTime<Utc>,
}

/// Adds a release with the next version, which it returns. Lock the app first. A release that
/// is there already stays as it is.
pub async fn release_create(db: &mut PgConnection, new: &New<'_>) -> sqlx::Result<i32> {
    sqlx::query(
        "insert into releases (id, app_id, version, status, description, account_id, slug_id, config, commit,
                               created_at, updated_at)
         select $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $9
         from releases where app_id = $2 on conflict (id) do nothing",
    )
    .bind(new.id)
    .bind(new.app)
    .bind(new.status)
    .bind(new.description)
    .bind(new.account)
    .bind(new.slug)
    .bind(new.config)
    .bind(new.commit)
    .bind(new.now)
    .execute(&mut *db)
    .await?;
    sqlx::query_scalar("select version from releases where id = $1").bind(new.id).fetch_one(db).await
}

/// The release with this id.
pub async fn release_info(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where r.id = $1"))).bind(id).fetch_optional(db).await
}

/// The release of an app with this version.
pub async fn release_at(db: impl PgExecutor<'_>, app: Uuid, version: i32) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where r.app_id = $1 and r.version = $2")))
        .bind(app)
        .bind(version)
        .fetch_optional(db)
        .await
}

/// All releases of an app, oldest first.
pub async fn release_list(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where r.app_id = $1 order by r.version")))
        .bind(app)
        .fetch_all(db)
        .await
}

/// The newest releases of an app, newest first.
pub async fn release_newest(db: impl PgExecutor<'_>, app: Uuid, most: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where r.app_id = $1 order by r.version desc limit $2")))
        .bind(app)
        .bind(most)
        .fetch_all(db)
        .await
}

/// The release that runs: the newest that succeeded.
pub async fn release_current(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where r.app_id = $1 and r.status = 'succeeded' order by r.version desc limit 1"
    )))
    .bind(app)
    .fetch_optional(db)
    .await
}

/// The release that runs, of every app.
pub async fn release_current_all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(
        "select distinct on (r.app_id) r.*, u.email from releases r join accounts u on u.id = r.account_id
         join apps a on a.id = r.app_id where r.status = 'succeeded' and a.deleted_at is null
         order by r.app_id, r.version desc"
            .to_owned(),
    ))
    .fetch_all(db)
    .await
}

/// The newest release of every app, whatever became of it.
pub async fn release_newest_all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(
        "select n.*, (select nullif(split_part(b.source_description, E'\\n', 1), '') from builds b
                      where b.release_id = n.id limit 1) as message
         from (select distinct on (r.app_id) r.*, u.email from releases r join accounts u on u.id = r.account_id
               order by r.app_id, r.version desc) n"
            .to_owned(),
    ))
    .fetch_all(db)
    .await
}

/// The newest slug that an app was released with, or is about to be.
pub async fn release_newest_slug(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "select slug_id from releases where app_id = $1 and status in ('succeeded', 'pending')
         order by version desc limit 1",
    )
    .bind(app)
    .fetch_optional(db)
    .await
    .map(Option::flatten)
}

/// Moves a release from one status to another. Returns `false`, changing nothing, if it was not in `from`.
pub async fn release_move(
    db: impl PgExecutor<'_>,
    id: Uuid,
    from: &str,
    to: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let moved = sqlx::query("update releases set status = $3, updated_at = $4 where id = $1 and status = $2")
        .bind(id)
        .bind(from)
        .bind(to)
        .bind(now)
        .execute(db)
        .await?;
    Ok(moved.rows_affected() == 1)
}

/// Notes that a release phase has output.
pub async fn release_has_output(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("update releases set has_output = true where id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// Whether an older release of the app is still being made.
pub async fn release_older_pending(db: impl PgExecutor<'_>, app: Uuid, version: i32) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from releases where app_id = $1 and version < $2 and status = 'pending')",
    )
    .bind(app)
    .bind(version)
    .fetch_one(db)
    .await
}
