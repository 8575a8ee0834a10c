//! Authorizations (API tokens): rows and queries.

use api::ids::{AccountId, AppId, AuthorizationId, OauthClientId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::pages::{BY_CHANGE, BY_CREATION, BY_ID, List, Page, Range};

/// The sort orders of authorizations.
pub static LIST: List = List::by(&[BY_CREATION, BY_ID, BY_CHANGE]);

/// A row of `oauth_authorizations`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: AuthorizationId,
    pub account_id: AccountId,
    pub description: String,
    pub scope: Vec<String>,
    pub token_hash: Vec<u8>,
    pub hint: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    /// The client that has it, if any.
    pub client_id: Option<OauthClientId>,
    /// The token that created it, if it is deleted with that one.
    pub parent_id: Option<AuthorizationId>,
    /// The apps that it is limited to, if it is.
    pub apps: Option<Vec<AppId>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// An authorization with its client.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    #[sqlx(flatten)]
    pub row: Row,
    pub client_id: Option<OauthClientId>,
    pub client_name: Option<String>,
    pub client_redirect_uri: Option<String>,
}

/// Of an account (`$1`), unless expired by now (`$2`) and not renewable.
const OF_ACCOUNT: &str = "select a.*, c.name as client_name, c.redirect_uri as client_redirect_uri
    from oauth_authorizations a left join oauth_clients c on c.id = a.client_id
    where a.account_id = $1 and (a.expires_at is null or a.expires_at > $2 or a.refresh_hash is not null)";

/// Inserts an authorization.
pub async fn authorization_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into oauth_authorizations
             (id, account_id, description, scope, token_hash, hint, expires_at, client_id, parent_id, apps, created_at,
              updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(row.id)
    .bind(row.account_id)
    .bind(&row.description)
    .bind(&row.scope)
    .bind(&row.token_hash)
    .bind(&row.hint)
    .bind(row.expires_at)
    .bind(row.client_id)
    .bind(row.parent_id)
    .bind(row.apps.as_deref())
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The number of valid authorizations of an account that do not belong to clients. Deletes those that have expired for
/// good. Concurrent calls wait until the transaction ends, and count what it has written.
pub async fn authorization_count(db: &mut PgConnection, account: AccountId, now: DateTime<Utc>) -> sqlx::Result<i64> {
    sqlx::query("select 1 from accounts where id = $1 for no key update").bind(account).execute(&mut *db).await?;
    sqlx::query("delete from oauth_authorizations where account_id = $1 and expires_at <= $2 and refresh_hash is null")
        .bind(account)
        .bind(now)
        .execute(&mut *db)
        .await?;
    sqlx::query_scalar("select count(*) from oauth_authorizations where account_id = $1 and refresh_hash is null")
        .bind(account)
        .fetch_one(db)
        .await
}

/// The authorization with this token, unless it has expired.
pub async fn authorization_by_token(
    db: impl PgExecutor<'_>,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select * from oauth_authorizations where token_hash = $1 and (expires_at is null or expires_at > $2)",
    )
    .bind(token_hash)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Records the use of a token; at most once a minute, to reduce disk writes.
pub async fn authorization_used(db: impl PgExecutor<'_>, id: AuthorizationId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update oauth_authorizations set last_used_at = $2
         where id = $1 and (last_used_at is null or last_used_at < $2 - interval '1 minute')",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The authorizations of an account that have not expired or are renewable.
pub async fn authorization_list(
    db: impl PgExecutor<'_>,
    account: AccountId,
    now: DateTime<Utc>,
    range: &Range,
) -> sqlx::Result<Page<Listed>> {
    range.fetch(db, sqlx::query(OF_ACCOUNT).bind(account).bind(now)).await
}

/// An authorization of an account that has not expired or is renewable.
pub async fn authorization_info(
    db: impl PgExecutor<'_>,
    account: AccountId,
    id: AuthorizationId,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Listed>> {
    let one = sqlx::AssertSqlSafe(format!("{OF_ACCOUNT} and a.id = $3"));
    sqlx::query_as(one).bind(account).bind(now).bind(id).fetch_optional(db).await
}

/// Changes the description.
pub async fn authorization_describe(
    db: impl PgExecutor<'_>,
    id: AuthorizationId,
    description: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update oauth_authorizations set description = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(description)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Replaces the token of an authorization; the old one stops working.
pub async fn authorization_rotate(
    db: impl PgExecutor<'_>,
    id: AuthorizationId,
    token_hash: &[u8],
    hint: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update oauth_authorizations set token_hash = $2, hint = $3, updated_at = $4 where id = $1")
        .bind(id)
        .bind(token_hash)
        .bind(hint)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes an authorization. Returns `false` if it is gone already.
pub async fn authorization_delete(db: impl PgExecutor<'_>, id: AuthorizationId) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from oauth_authorizations where id = $1").bind(id).execute(db).await?;
    Ok(gone.rows_affected() > 0)
}

/// When a token expires: `None` if it is invalid, `Some(None)` if only on revocation.
pub async fn authorization_ends_at(
    db: impl PgExecutor<'_>,
    id: AuthorizationId,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Option<DateTime<Utc>>>> {
    sqlx::query_scalar(
        "select expires_at from oauth_authorizations where id = $1 and (expires_at is null or expires_at > $2)",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Whether a token is still valid.
pub async fn authorization_exists(
    db: impl PgExecutor<'_>,
    id: AuthorizationId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from oauth_authorizations where id = $1 and (expires_at is null or expires_at > $2))",
    )
    .bind(id)
    .bind(now)
    .fetch_one(db)
    .await
}
