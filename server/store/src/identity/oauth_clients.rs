//! OAuth clients, and their codes and tokens: rows and queries.

use api::ids::{AccountId, AuthorizationId, OauthClientId, OauthCodeId};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::pages::{BY_CHANGE, BY_CREATION, BY_ID, List, Page, Range};

/// The sort orders of clients.
pub static LIST: List = List::by(&[BY_CREATION, BY_ID, BY_CHANGE]);

/// A row of `oauth_clients`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: OauthClientId,
    pub account_id: AccountId,
    pub name: String,
    pub redirect_uri: String,
    /// The client secret, encrypted.
    pub secret: Vec<u8>,
    pub secret_hash: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A row of `oauth_codes`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Code {
    pub id: OauthCodeId,
    pub client_id: OauthClientId,
    pub account_id: AccountId,
    pub code_hash: Vec<u8>,
    pub scope: Vec<String>,
    pub redirect_uri: String,
    /// PKCE challenge, S256.
    pub challenge: Option<String>,
    pub authorization_id: Option<AuthorizationId>,
    pub used_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Inserts a client.
pub async fn oauth_client_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into oauth_clients (id, account_id, name, redirect_uri, secret, secret_hash, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(row.id)
    .bind(row.account_id)
    .bind(&row.name)
    .bind(&row.redirect_uri)
    .bind(&row.secret)
    .bind(&row.secret_hash)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Updates a client.
pub async fn oauth_client_update(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "update oauth_clients set name = $2, redirect_uri = $3, secret = $4, secret_hash = $5, updated_at = $6
         where id = $1",
    )
    .bind(row.id)
    .bind(&row.name)
    .bind(&row.redirect_uri)
    .bind(&row.secret)
    .bind(&row.secret_hash)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The clients of an account.
pub async fn oauth_client_list(db: impl PgExecutor<'_>, account: AccountId, range: &Range) -> sqlx::Result<Page<Row>> {
    range.fetch(db, sqlx::query("select * from oauth_clients where account_id = $1").bind(account)).await
}

/// The client with this id, of any account.
pub async fn oauth_client_info(db: impl PgExecutor<'_>, id: OauthClientId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from oauth_clients where id = $1").bind(id).fetch_optional(db).await
}

/// The client with this secret.
pub async fn oauth_client_by_secret(db: impl PgExecutor<'_>, secret_hash: &[u8]) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from oauth_clients where secret_hash = $1").bind(secret_hash).fetch_optional(db).await
}

/// The accounts for which a client has tokens. Prevents it from getting further ones until the end of the transaction.
pub async fn oauth_client_accounts(db: &mut sqlx::PgConnection, id: OauthClientId) -> sqlx::Result<Vec<AccountId>> {
    sqlx::query("select 1 from oauth_clients where id = $1 for update").bind(id).execute(&mut *db).await?;
    sqlx::query_scalar("select distinct account_id from oauth_authorizations where client_id = $1")
        .bind(id)
        .fetch_all(db)
        .await
}

/// Deletes a client, with its codes and all its tokens. Returns `false` if it is gone already.
pub async fn oauth_client_delete(db: impl PgExecutor<'_>, id: OauthClientId) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from oauth_clients where id = $1").bind(id).execute(db).await?;
    Ok(gone.rows_affected() > 0)
}

/// Inserts a code.
pub async fn oauth_code_create(db: impl PgExecutor<'_>, row: &Code) -> sqlx::Result<()> {
    sqlx::query(
        "insert into oauth_codes
             (id, client_id, account_id, code_hash, scope, redirect_uri, challenge, expires_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(row.id)
    .bind(row.client_id)
    .bind(row.account_id)
    .bind(&row.code_hash)
    .bind(&row.scope)
    .bind(&row.redirect_uri)
    .bind(&row.challenge)
    .bind(row.expires_at)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The code with this hash, used or not. Locks the row until the end of the transaction.
pub async fn oauth_code_by_hash(db: impl PgExecutor<'_>, code_hash: &[u8]) -> sqlx::Result<Option<Code>> {
    sqlx::query_as("select * from oauth_codes where code_hash = $1 for update").bind(code_hash).fetch_optional(db).await
}

/// Marks a code as used, and records the resulting authorization, if any.
pub async fn oauth_code_used(
    db: impl PgExecutor<'_>,
    id: OauthCodeId,
    authorization: Option<AuthorizationId>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update oauth_codes set used_at = $3, updated_at = $3, authorization_id = $2 where id = $1")
        .bind(id)
        .bind(authorization)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes all codes of an account except the newest `most`.
pub async fn oauth_code_trim(db: impl PgExecutor<'_>, account: AccountId, most: i64) -> sqlx::Result<()> {
    sqlx::query(
        "delete from oauth_codes where account_id = $1 and id not in (
             select id from oauth_codes where account_id = $1 order by created_at desc, id desc limit $2)",
    )
    .bind(account)
    .bind(most)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes codes that expired before `before`.
pub async fn oauth_code_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from oauth_codes where expires_at < $1").bind(before).execute(db).await?;
    Ok(())
}

/// Assigns an authorization to a client, with its refresh token.
pub async fn oauth_grant_create(
    db: impl PgExecutor<'_>,
    authorization: AuthorizationId,
    client: OauthClientId,
    refresh_hash: &[u8],
) -> sqlx::Result<()> {
    sqlx::query("update oauth_authorizations set client_id = $2, refresh_hash = $3 where id = $1")
        .bind(authorization)
        .bind(client)
        .bind(refresh_hash)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes the oldest client authorizations of an account: all but the newest `of_client` of this client, and
/// the newest `of_all`. Returns whether there were any.
pub async fn oauth_grant_trim(
    db: impl PgExecutor<'_>,
    account: AccountId,
    client: OauthClientId,
    of_client: i64,
    of_all: i64,
) -> sqlx::Result<bool> {
    let gone = sqlx::query(
        "delete from oauth_authorizations where id in (
             select id from (select id, client_id, row_number() over (order by created_at desc, id desc) as place,
                                 row_number() over (partition by client_id order by created_at desc, id desc) as own
                             from oauth_authorizations where account_id = $1 and client_id is not null) g
             where place > $4 or own > $3 and client_id = $2)",
    )
    .bind(account)
    .bind(client)
    .bind(of_client)
    .bind(of_all)
    .execute(db)
    .await?;
    Ok(gone.rows_affected() > 0)
}

/// Replaces the token of a client's authorization. Returns its account and scope, if it exists.
pub async fn oauth_grant_refresh(
    db: impl PgExecutor<'_>,
    client: OauthClientId,
    refresh_hash: &[u8],
    token_hash: &[u8],
    hint: &str,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<(AuthorizationId, AccountId, Vec<String>)>> {
    sqlx::query_as(
        "update oauth_authorizations set token_hash = $3, hint = $4, expires_at = $5, updated_at = $6
         where client_id = $1 and refresh_hash = $2 returning id, account_id, scope",
    )
    .bind(client)
    .bind(refresh_hash)
    .bind(token_hash)
    .bind(hint)
    .bind(expires_at)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Deletes the authorization of a client with this token or refresh token. Returns its id and account.
pub async fn oauth_grant_delete(
    db: impl PgExecutor<'_>,
    client: OauthClientId,
    hash: &[u8],
) -> sqlx::Result<Option<(AuthorizationId, AccountId)>> {
    sqlx::query_as(
        "delete from oauth_authorizations where client_id = $1 and (token_hash = $2 or refresh_hash = $2)
         returning id, account_id",
    )
    .bind(client)
    .bind(hash)
    .fetch_optional(db)
    .await
}
