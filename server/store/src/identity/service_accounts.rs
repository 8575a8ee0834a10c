//! Service accounts: rows and queries.

use api::{
    ids::{AccountId, TeamId},
    team_members::Role,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, BY_NAME, List, Page, Range},
    text::Text,
};

/// The sort orders of service accounts.
pub static LIST: List = List::by(&[BY_NAME, BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `service_accounts`, with its address and its role in the team.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: AccountId,
    pub team_id: TeamId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub email: String,
    #[sqlx(try_from = "Text<Role>")]
    pub role: Role,
}

const SELECT: &str = "select s.*, a.email, m.role from service_accounts s join accounts a on a.id = s.id
    join team_members m on m.team_id = s.team_id and m.account_id = s.id ";

/// Turns an existing account into a service account created by `by`. Violates `service_accounts_name_key` if the
/// team has one with that name.
pub async fn service_account_create(
    db: impl PgExecutor<'_>,
    account: AccountId,
    team: TeamId,
    name: &str,
    by: AccountId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into service_accounts (id, team_id, name, created_by, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)",
    )
    .bind(account)
    .bind(team)
    .bind(name)
    .bind(by)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The service accounts of a team.
pub async fn service_account_list(db: impl PgExecutor<'_>, team: TeamId, range: &Range) -> sqlx::Result<Page<Row>> {
    let list = sqlx::AssertSqlSafe(format!("{SELECT} where s.team_id = $1"));
    range.fetch(db, sqlx::query(list).bind(team)).await
}

/// The service account of a team with this name or address, or this id (as text).
pub async fn service_account_info(db: impl PgExecutor<'_>, team: TeamId, which: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where s.team_id = $1 and (s.id::text = $2 or s.name = $2 or a.email = $2)"
    )))
    .bind(team)
    .bind(which)
    .fetch_optional(db)
    .await
}

/// Whether an account is a service account, of any team.
pub async fn service_account_exists(db: impl PgExecutor<'_>, account: AccountId) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select 1 from service_accounts where id = $1)").bind(account).fetch_one(db).await
}

/// Removes a service account's tokens, team membership, app access and name. Its history remains, and so does
/// its account, suspended. Returns `false` if it is gone already, and then changes nothing.
pub async fn service_account_retire(
    db: &mut PgConnection,
    account: AccountId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    // First, so that concurrent calls wait for the row.
    let gone = sqlx::query("delete from service_accounts where id = $1").bind(account).execute(&mut *db).await?;
    if gone.rows_affected() == 0 {
        return Ok(false);
    }
    retire(db, &[account], now).await?;
    Ok(true)
}

/// Like [`service_account_retire`], for all service accounts of a team. Returns their ids.
pub async fn service_account_retire_all(
    db: &mut PgConnection,
    team: TeamId,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<AccountId>> {
    let delete = sqlx::query_scalar("delete from service_accounts where team_id = $1 returning id");
    let accounts: Vec<AccountId> = delete.bind(team).fetch_all(&mut *db).await?;
    if !accounts.is_empty() {
        retire(db, &accounts, now).await?;
    }
    Ok(accounts)
}

async fn retire(db: &mut PgConnection, accounts: &[AccountId], now: DateTime<Utc>) -> sqlx::Result<()> {
    for table in ["oauth_authorizations", "collaborators", "team_members"] {
        let delete = sqlx::AssertSqlSafe(format!("delete from {table} where account_id = any($1)"));
        sqlx::query(delete).bind(accounts).execute(&mut *db).await?;
    }
    sqlx::query(
        "update accounts set email = replace(email, '@', '.' || left(id::text, 18) || '@'), suspended_at = $2,
                retired_at = $2, updated_at = $2
         where id = any($1)",
    )
    .bind(accounts)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}
