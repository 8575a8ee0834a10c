//! Config vars: rows and queries. The values are encrypted; this file never sees plaintext.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// The encrypted map of an app, if anything was ever set.
pub async fn config_vars_info(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select sealed from config_vars where app_id = $1").bind(app).fetch_optional(db).await
}

/// Replaces the encrypted map of an app.
pub async fn config_vars_save(
    db: impl PgExecutor<'_>,
    app: Uuid,
    sealed: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into config_vars (app_id, sealed, updated_at) values ($1, $2, $3)
         on conflict (app_id) do update set sealed = excluded.sealed, updated_at = excluded.updated_at",
    )
    .bind(app)
    .bind(sealed)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}
