//! Uploads (the current writer of each): rows and queries.

use api::ids::{ServerId, UploadId};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Makes `writer`, of this server, the uploader of the slug or source with this id; `false` if another one has been active
/// since `since`.
pub async fn upload_begin(
    db: impl PgExecutor<'_>,
    id: Uuid,
    (server, writer): (ServerId, UploadId),
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into uploads (id, writer, server_id, created_at, updated_at) values ($1, $2, $5, $4, $4)
         on conflict (id) do update set writer = $2, server_id = $5, created_at = $4, updated_at = $4
         where uploads.updated_at < $3",
    )
    .bind(id)
    .bind(writer)
    .bind(since)
    .bind(now)
    .bind(server)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Renews the lease of `writer`.
pub async fn upload_renew(db: impl PgExecutor<'_>, id: Uuid, writer: UploadId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update uploads set updated_at = $3 where id = $1 and writer = $2")
        .bind(id)
        .bind(writer)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Ends the upload of `writer`; `false` if another one has replaced it.
pub async fn upload_end(db: impl PgExecutor<'_>, id: Uuid, writer: UploadId) -> sqlx::Result<bool> {
    let done =
        sqlx::query("delete from uploads where id = $1 and writer = $2").bind(id).bind(writer).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes uploads not renewed since `before`.
pub async fn upload_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from uploads where updated_at < $1").bind(before).execute(db).await?;
    Ok(())
}

/// Lets the leases of this server expire, as if none had been renewed after `since`, because its previous process is
/// dead: the next upload to one of these URLs takes it over immediately. Leases of other servers are left alone.
pub async fn upload_take_over(db: impl PgExecutor<'_>, server: ServerId, since: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update uploads set updated_at = least(updated_at, $2) where server_id = $1")
        .bind(server)
        .bind(since)
        .execute(db)
        .await?;
    Ok(())
}
