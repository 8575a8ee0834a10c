//! Log drains: rows and queries.

use api::ids::{AppId, LogDrainId};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::pages::{BY_CHANGE, BY_CREATION, BY_ID, List, Page, Range};

/// The sort orders of drains.
pub static LIST: List = List::by(&[BY_CREATION, BY_ID, BY_CHANGE]);

/// A row of `log_drains`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: LogDrainId,
    pub app_id: AppId,
    /// The fingerprint; without `sealed`, the URL itself.
    pub url: String,
    /// The fingerprint; without `sealed`, the token itself.
    pub token: String,
    /// The encrypted URL and token.
    pub sealed: Option<Vec<u8>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Inserts a drain. Violates `log_drains_url_key` if the app has it already.
pub async fn log_drain_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into log_drains (id, app_id, url, token, sealed, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(row.id)
    .bind(row.app_id)
    .bind(&row.url)
    .bind(&row.token)
    .bind(&row.sealed)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The drains of an app.
pub async fn log_drain_list(db: impl PgExecutor<'_>, app: AppId, range: &Range) -> sqlx::Result<Page<Row>> {
    range.fetch(db, sqlx::query("select * from log_drains where app_id = $1").bind(app)).await
}

/// The number of an app's drains.
pub async fn log_drain_count(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from log_drains where app_id = $1").bind(app).fetch_one(db).await
}

/// The drain of an app with this id (as text), or this token or URL, or one of these fingerprints.
pub async fn log_drain_info(
    db: impl PgExecutor<'_>,
    app: AppId,
    which: &str,
    fingerprints: &[String],
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select * from log_drains
         where app_id = $1 and (id::text = $2 or $2 in (token, url) or token = any($3) or url = any($3))
         order by id limit 1",
    )
    .bind(app)
    .bind(which)
    .bind(fingerprints)
    .fetch_optional(db)
    .await
}

/// Drains after `after` that are not encrypted, ordered by id.
pub async fn log_drain_open(db: impl PgExecutor<'_>, after: LogDrainId, most: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from log_drains where sealed is null and id > $1 order by id limit $2")
        .bind(after)
        .bind(most)
        .fetch_all(db)
        .await
}

/// Replaces the unencrypted values of a row. Violates `log_drains_url_key` if the app has the drain twice.
pub async fn log_drain_seal(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query("update log_drains set url = $2, token = $3, sealed = $4 where id = $1")
        .bind(row.id)
        .bind(&row.url)
        .bind(&row.token)
        .bind(&row.sealed)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes a drain. Returns `false` if it is gone already.
pub async fn log_drain_delete(db: impl PgExecutor<'_>, id: LogDrainId) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from log_drains where id = $1").bind(id).execute(db).await?;
    Ok(gone.rows_affected() > 0)
}
