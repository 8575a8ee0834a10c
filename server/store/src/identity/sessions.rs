//! Console sessions and sign-in links: rows and queries.

use api::ids::{AccountId, AuthorizationId, SessionId, SignInLinkId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::pages::{BY_CREATION, BY_ID, Kind, List, Order, Page, Range};

/// The sort orders of sessions: most recently used first.
pub static LIST: List =
    List::by_descending(&[Order::shared("last_seen_at", Kind::Time, "t.last_seen_at"), BY_ID, BY_CREATION]);

/// A row of `sessions`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: SessionId,
    pub key_hash: Vec<u8>,
    pub account_id: Option<AccountId>,
    pub data: serde_json::Value,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Inserts a session.
pub async fn session_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into sessions
             (id, key_hash, account_id, data, user_agent, address, created_at, last_seen_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(row.id)
    .bind(&row.key_hash)
    .bind(row.account_id)
    .bind(&row.data)
    .bind(&row.user_agent)
    .bind(&row.address)
    .bind(row.created_at)
    .bind(row.last_seen_at)
    .bind(row.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Updates a changed session. One that was ended concurrently stays ended, and none lasts longer than ninety
/// days, however much it is used.
pub async fn session_update(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "update sessions set account_id = $2, data = $3, user_agent = $4, address = $5, last_seen_at = $6,
                expires_at = least($7, created_at + interval '90 days')
         where key_hash = $1",
    )
    .bind(&row.key_hash)
    .bind(row.account_id)
    .bind(&row.data)
    .bind(&row.user_agent)
    .bind(&row.address)
    .bind(row.last_seen_at)
    .bind(row.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The session with this key, unless it has expired.
pub async fn session_by_key(db: impl PgExecutor<'_>, key_hash: &[u8], now: DateTime<Utc>) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from sessions where key_hash = $1 and expires_at > $2")
        .bind(key_hash)
        .bind(now)
        .fetch_optional(db)
        .await
}

/// Records the use of a session; at most once a minute, to reduce disk writes.
pub async fn session_seen(db: impl PgExecutor<'_>, id: SessionId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update sessions set last_seen_at = $2 where id = $1 and last_seen_at < $2 - interval '1 minute'")
        .bind(id)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// The displayed fields of a session.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    pub id: SessionId,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// The sessions of an account.
pub async fn session_list(
    db: impl PgExecutor<'_>,
    account: AccountId,
    now: DateTime<Utc>,
    range: &Range,
) -> sqlx::Result<Page<Listed>> {
    let list = sqlx::query(
        "select id, user_agent, address, created_at, last_seen_at, expires_at from sessions
         where account_id = $1 and expires_at > $2",
    );
    range.fetch(db, list.bind(account).bind(now)).await
}

/// Ends a session of an account. Returns whether there was one.
pub async fn session_delete(db: impl PgExecutor<'_>, account: AccountId, id: SessionId) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from sessions where account_id = $1 and id = $2")
        .bind(account)
        .bind(id)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the sessions of an account except `keep`, and deletes its sign-in links.
pub async fn session_delete_others(
    db: &mut PgConnection,
    account: AccountId,
    keep: Option<SessionId>,
) -> sqlx::Result<()> {
    sqlx::query("delete from sessions where account_id = $1 and id is distinct from $2")
        .bind(account)
        .bind(keep)
        .execute(&mut *db)
        .await?;
    sqlx::query("delete from identity_proposals where account_id = $1").bind(account).execute(&mut *db).await?;
    sqlx::query("delete from sign_in_links where account_id = $1 and used_at is null")
        .bind(account)
        .execute(db)
        .await?;
    Ok(())
}

/// Ends the session with this key.
pub async fn session_delete_key(db: impl PgExecutor<'_>, key_hash: &[u8]) -> sqlx::Result<()> {
    sqlx::query("delete from sessions where key_hash = $1").bind(key_hash).execute(db).await?;
    Ok(())
}

/// When a session expires, if it exists.
pub async fn session_ends_at(
    db: impl PgExecutor<'_>,
    id: SessionId,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("select expires_at from sessions where id = $1 and expires_at > $2")
        .bind(id)
        .bind(now)
        .fetch_optional(db)
        .await
}

/// Whether a session still exists.
pub async fn session_exists(db: impl PgExecutor<'_>, id: SessionId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select 1 from sessions where id = $1 and expires_at > $2)")
        .bind(id)
        .bind(now)
        .fetch_one(db)
        .await
}

/// Inserts a one-time link. It is deleted with the authorization that created it, if any.
pub async fn sign_in_link_create(
    db: impl PgExecutor<'_>,
    id: SignInLinkId,
    account: AccountId,
    authorization: Option<AuthorizationId>,
    secret_hash: &[u8],
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into sign_in_links (id, account_id, authorization_id, secret_hash, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(account)
    .bind(authorization)
    .bind(secret_hash)
    .bind(expires_at)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// A valid one-time link: its account and expiry.
pub async fn sign_in_link_info(
    db: impl PgExecutor<'_>,
    secret_hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<(AccountId, DateTime<Utc>)>> {
    sqlx::query_as(
        "select account_id, expires_at from sign_in_links
         where secret_hash = $1 and used_at is null and expires_at > $2",
    )
    .bind(secret_hash)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Uses up a one-time link and returns its account.
pub async fn sign_in_link_use(
    db: impl PgExecutor<'_>,
    secret_hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<AccountId>> {
    sqlx::query_scalar(
        "update sign_in_links set used_at = $2
         where secret_hash = $1 and used_at is null and expires_at > $2 returning account_id",
    )
    .bind(secret_hash)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Ends all sessions of an account but the `most` used last. Returns those that it has ended.
pub async fn session_trim(db: impl PgExecutor<'_>, account: AccountId, most: i64) -> sqlx::Result<Vec<SessionId>> {
    sqlx::query_scalar(
        "delete from sessions where account_id = $1 and id not in (
             select id from sessions where account_id = $1 order by last_seen_at desc, id desc limit $2)
         returning id",
    )
    .bind(account)
    .bind(most)
    .fetch_all(db)
    .await
}

/// Deletes all links of an account except the newest `most`.
pub async fn sign_in_link_trim(db: impl PgExecutor<'_>, account: AccountId, most: i64) -> sqlx::Result<()> {
    sqlx::query(
        "delete from sign_in_links where account_id = $1 and id not in (
             select id from sign_in_links where account_id = $1 order by created_at desc, id desc limit $2)",
    )
    .bind(account)
    .bind(most)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes expired sessions and links.
pub async fn session_sweep(db: &sqlx::PgPool, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from sessions where expires_at < $1").bind(now).execute(db).await?;
    sqlx::query("delete from sign_in_links where expires_at < $1").bind(now).execute(db).await?;
    Ok(())
}
