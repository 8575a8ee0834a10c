//! Log sessions: rows and queries.

use api::ids::{AccountId, AppId, LogSessionId};
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// A row of `log_sessions`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: LogSessionId,
    pub app_id: AppId,
    pub params: serde_json::Value,
    pub expires_at: DateTime<Utc>,
    pub opened_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// Its creator, and their token or console session.
    pub account_id: Option<AccountId>,
    pub credential_id: Option<Uuid>,
}

/// Inserts a session.
pub async fn log_session_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into log_sessions (id, app_id, params, expires_at, created_at, account_id, credential_id)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(row.id)
    .bind(row.app_id)
    .bind(&row.params)
    .bind(row.expires_at)
    .bind(row.created_at)
    .bind(row.account_id)
    .bind(row.credential_id)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes all sessions of an account for an app except the newest `most`.
pub async fn log_session_trim(db: impl PgExecutor<'_>, app: AppId, account: AccountId, most: i64) -> sqlx::Result<()> {
    sqlx::query(
        "delete from log_sessions where app_id = $1 and account_id = $2 and id not in (
             select id from log_sessions where app_id = $1 and account_id = $2
             order by created_at desc, id desc limit $3)",
    )
    .bind(app)
    .bind(account)
    .bind(most)
    .execute(db)
    .await?;
    Ok(())
}

/// Opens a session. A session opened in time can be reopened by a client that reconnects.
pub async fn log_session_open(
    db: impl PgExecutor<'_>,
    id: LogSessionId,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "update log_sessions set opened_at = coalesce(opened_at, $2)
         where id = $1 and (opened_at is not null or expires_at > $2) returning *",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Deletes old sessions.
pub async fn log_session_sweep(db: &PgPool, before: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from log_sessions where created_at < $1").bind(before).execute(db).await?;
    Ok(())
}
