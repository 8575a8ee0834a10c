//! Slugs: rows and queries.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

/// A row of `slugs`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub app_id: Uuid,
    /// `SHA256:<hex>`; `None` until the archive is there.
    pub checksum: Option<String>,
    pub size: Option<i64>,
    pub process_types: Json<BTreeMap<String, String>>,
    pub buildpack_description: Option<String>,
    pub commit: Option<String>,
    pub commit_description: Option<String>,
    pub stack: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Adds a slug; adding the same again changes nothing.
pub async fn slug_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into slugs (id, app_id, checksum, size, process_types, buildpack_description, commit,
                            commit_description, stack, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (id) do nothing",
    )
    .bind(row.id)
    .bind(row.app_id)
    .bind(&row.checksum)
    .bind(row.size)
    .bind(&row.process_types)
    .bind(&row.buildpack_description)
    .bind(&row.commit)
    .bind(&row.commit_description)
    .bind(&row.stack)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The slug with this id.
pub async fn slug_info(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from slugs where id = $1").bind(id).fetch_optional(db).await
}

/// Notes that a slug's archive is there.
pub async fn slug_uploaded(
    db: impl PgExecutor<'_>,
    id: Uuid,
    checksum: &str,
    size: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update slugs set checksum = $2, size = $3, updated_at = $4 where id = $1 and checksum is null")
        .bind(id)
        .bind(checksum)
        .bind(size)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Checksums of an app's archives that no other app uses.
pub async fn slug_checksums_of_app_alone(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct checksum from slugs s where app_id = $1 and checksum is not null
           and not exists (select 1 from slugs o where o.checksum = s.checksum and o.app_id <> $1)",
    )
    .bind(app)
    .fetch_all(db)
    .await
}

/// The apps that have a slug: the one it was made for, and those that released it.
pub async fn slug_apps(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("select app_id from slugs where id = $1 union select app_id from releases where slug_id = $1")
        .bind(id)
        .fetch_all(db)
        .await
}
