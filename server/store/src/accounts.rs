//! Accounts: rows and queries.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::pages::{BY_CHANGE, BY_CREATION, BY_EMAIL, BY_ID, List, Page, Range};

/// How the accounts of people can be listed.
pub static LIST: List = List::by(&[BY_EMAIL, BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `accounts`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub email: String,
    pub name: Option<String>,
    pub admin: bool,
    pub last_login: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A person's account, with what administrators see of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    #[sqlx(flatten)]
    pub row: Row,
    pub suspended_at: Option<DateTime<Utc>>,
    /// Whether it has a password that is in force, with codes.
    pub has_password: bool,
}

/// Adds an account. Breaks `accounts_email_key` when the address has one.
pub async fn account_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into accounts (id, email, name, admin, created_at, updated_at) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(row.id)
    .bind(&row.email)
    .bind(&row.name)
    .bind(row.admin)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Adds an account unless its address has one.
pub async fn account_ensure(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into accounts (id, email, name, admin, created_at, updated_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (lower(email)) do nothing",
    )
    .bind(row.id)
    .bind(&row.email)
    .bind(&row.name)
    .bind(row.admin)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The account with this id, unless it is suspended: whoever asks with it is not let in.
pub async fn account_info(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from accounts where id = $1 and suspended_at is null").bind(id).fetch_optional(db).await
}

/// The account with this id, suspended or not.
pub async fn account_even_suspended(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from accounts where id = $1").bind(id).fetch_optional(db).await
}

/// The accounts of people, suspended or not. Service accounts belong to their teams.
pub async fn account_list(db: impl PgExecutor<'_>, range: &Range) -> sqlx::Result<Page<Listed>> {
    let list = sqlx::query(
        "select a.*, exists (select 1 from passwords p where p.account_id = a.id and p.confirmed_at is not null)
                     as has_password
         from accounts a where not exists (select 1 from service_accounts s where s.id = a.id)",
    );
    range.fetch(db, list).await
}

/// The account with this address, upper and lower case alike.
pub async fn account_by_email(db: impl PgExecutor<'_>, email: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from accounts where lower(email) = lower($1)").bind(email).fetch_optional(db).await
}

/// The oldest administrator.
pub async fn account_first_admin(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from accounts where admin order by created_at limit 1").fetch_optional(db).await
}

/// Changes the name.
pub async fn account_rename(
    db: impl PgExecutor<'_>,
    id: Uuid,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update accounts set name = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(name)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Notes that somebody signed in.
pub async fn account_signed_in(db: impl PgExecutor<'_>, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update accounts set last_login = $2 where id = $1").bind(id).bind(now).execute(db).await?;
    Ok(())
}

/// Lets nobody in with this account from now on, or again when `at` is absent.
pub async fn account_suspend(db: impl PgExecutor<'_>, id: Uuid, at: Option<DateTime<Utc>>) -> sqlx::Result<()> {
    sqlx::query("update accounts set suspended_at = $2 where id = $1").bind(id).bind(at).execute(db).await?;
    Ok(())
}

/// Makes an account an administrator of the platform, or no longer.
pub async fn account_administers(
    db: impl PgExecutor<'_>,
    id: Uuid,
    admin: bool,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update accounts set admin = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(admin)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}
