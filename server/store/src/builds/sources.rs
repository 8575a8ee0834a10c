//! Sources (uploaded archives): rows and queries.

use api::ids::{AccountId, SourceId};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// Inserts a source to upload to.
pub async fn source_create(
    db: impl PgExecutor<'_>,
    id: SourceId,
    account: AccountId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("insert into sources (id, account_id, created_at) values ($1, $2, $3)")
        .bind(id)
        .bind(account)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Records that the archive was uploaded. Returns its account; `None` if the source has expired.
pub async fn source_uploaded(db: impl PgExecutor<'_>, id: SourceId, size: i64) -> sqlx::Result<Option<AccountId>> {
    sqlx::query_scalar("update sources set size = $2 where id = $1 returning account_id")
        .bind(id)
        .bind(size)
        .fetch_optional(db)
        .await
}

/// Those of `ids` that are not the id of a source.
pub async fn source_ids_unknown(db: impl PgExecutor<'_>, ids: &[SourceId]) -> sqlx::Result<Vec<SourceId>> {
    sqlx::query_scalar(
        "select i.id from unnest($1::uuid[]) i(id) where not exists (select 1 from sources s where s.id = i.id)",
    )
    .bind(ids)
    .fetch_all(db)
    .await
}

/// The ids of sources older than `before`, which are deleted.
pub async fn source_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<Vec<SourceId>> {
    sqlx::query_scalar("delete from sources where created_at < $1 returning id").bind(before).fetch_all(db).await
}
