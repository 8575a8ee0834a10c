//! Sign-in attempts in progress at a provider. Rows and queries.

use api::ids::{AccountId, IdentityProviderId, SignInAttemptId};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// A row of `sign_in_attempts`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: SignInAttemptId,
    pub provider_id: IdentityProviderId,
    pub state_hash: Vec<u8>,
    /// The browser that started it.
    pub browser_hash: Vec<u8>,
    /// Nonce and PKCE verifier, encrypted.
    pub secret: Vec<u8>,
    /// Where to redirect afterwards.
    pub next: String,
    /// The account that started it to link an identity.
    pub account_id: Option<AccountId>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Inserts an attempt.
pub async fn sign_in_attempt_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into sign_in_attempts
             (id, provider_id, state_hash, browser_hash, secret, next, account_id, expires_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(row.id)
    .bind(row.provider_id)
    .bind(&row.state_hash)
    .bind(&row.browser_hash)
    .bind(&row.secret)
    .bind(&row.next)
    .bind(row.account_id)
    .bind(row.expires_at)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Uses up an attempt: it is deleted, whatever the outcome, so that it can be completed only once. It must match the
/// provider and the browser, and must not have expired; one of another browser is left alone.
pub async fn sign_in_attempt_take(
    db: impl PgExecutor<'_>,
    provider: IdentityProviderId,
    state_hash: &[u8],
    browser_hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "delete from sign_in_attempts
         where provider_id = $1 and state_hash = $2 and browser_hash = $3 and expires_at > $4 returning *",
    )
    .bind(provider)
    .bind(state_hash)
    .bind(browser_hash)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Deletes the attempts at a provider.
pub async fn sign_in_attempt_delete_all(db: impl PgExecutor<'_>, provider: IdentityProviderId) -> sqlx::Result<()> {
    sqlx::query("delete from sign_in_attempts where provider_id = $1").bind(provider).execute(db).await?;
    Ok(())
}

/// Deletes expired attempts.
pub async fn sign_in_attempt_sweep(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from sign_in_attempts where expires_at < $1").bind(now).execute(db).await?;
    Ok(())
}
