//! Sources (uploaded archives): rows and queries.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Adds a place for an upload.
pub async fn source_create(db: impl PgExecutor<'_>, id: Uuid, account: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("insert into sources (id, account_id, created_at) values ($1, $2, $3)")
        .bind(id)
        .bind(account)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Notes that the archive is there.
pub async fn source_uploaded(db: impl PgExecutor<'_>, id: Uuid, size: i64) -> sqlx::Result<()> {
    sqlx::query("update sources set size = $2 where id = $1").bind(id).bind(size).execute(db).await?;
    Ok(())
}

/// The ids of sources older than `before`, which are taken off the list.
pub async fn source_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("delete from sources where created_at < $1 returning id").bind(before).fetch_all(db).await
}
