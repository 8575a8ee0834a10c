//! Accounts: rows and queries.

use api::{
    ids::{AccountId, TeamId},
    team_members::GrantedBy,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_EMAIL, BY_ID, List, Page, Range},
    text::{MaybeText, Text},
};

/// The sort orders of personal accounts.
pub static LIST: List = List::by(&[BY_EMAIL, BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `accounts`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: AccountId,
    pub email: String,
    pub name: Option<String>,
    pub admin: bool,
    pub last_login: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A personal account, with the details for administrators.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    #[sqlx(flatten)]
    pub row: Row,
    pub suspended_at: Option<DateTime<Utc>>,
    /// Whether it has an active password, with a second factor.
    pub has_password: bool,
    /// Who last set `admin`.
    #[sqlx(try_from = "MaybeText<GrantedBy>")]
    pub admin_by: Option<GrantedBy>,
    /// Exists only because of an invitation.
    pub invited: bool,
    /// When this service account was removed.
    pub retired_at: Option<DateTime<Utc>>,
}

/// The condition for keeping an account `a` that exists only because of an invitation; `$1` is the time.
const STANDS: &str = "(exists (select 1 from team_members m where m.account_id = a.id)
    or exists (select 1 from team_invitations i where i.account_id = a.id and i.expires_at > $1)
    or exists (select 1 from collaborators c join apps p on p.id = c.app_id
               where c.account_id = a.id and p.deleted_at is null)
    or exists (select 1 from app_transfers t join apps p on p.id = t.app_id
               where t.recipient_id = a.id and t.state = 'pending' and p.deleted_at is null)
    or exists (select 1 from apps p where p.owner_id = a.id))";

/// Whether an account `a` may authenticate: it is not suspended. A service account also requires that its creator is
/// not suspended, and that its team has an admin who is not suspended, so that a suspended user cannot continue under
/// another name.
pub(crate) const LET_IN: &str = "(a.suspended_at is null and not exists (
    select 1 from service_accounts b left join accounts p on p.id = b.created_by
    where b.id = a.id and (p.suspended_at is not null or not exists (
        select 1 from team_members m join accounts u on u.id = m.account_id and u.suspended_at is null
        where m.team_id = b.team_id and m.role = 'admin'))))";

/// Inserts an account. Violates `accounts_email_key` if the address is taken.
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

/// Inserts an account for an invited address, unless the address has one. Returns whether it did.
pub async fn account_invite(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into accounts (id, email, name, admin, invited, created_at, updated_at)
         values ($1, $2, $3, $4, true, $5, $6) on conflict (lower(email)) do nothing",
    )
    .bind(row.id)
    .bind(&row.email)
    .bind(&row.name)
    .bind(row.admin)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether an account exists only because of an invitation; `None` if there is no such account. Locks it until
/// the end of the transaction, so that it is not claimed or removed concurrently.
pub async fn account_is_invited(db: impl PgExecutor<'_>, id: AccountId) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar("select invited from accounts where id = $1 for update").bind(id).fetch_optional(db).await
}

/// Deletes an account that exists only because of an invitation, once no invitation is left. Returns whether it
/// did.
pub async fn account_delete_uninvited(db: &mut PgConnection, id: AccountId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    // Locked first, so that the next statement sees what the previous holder of the lock has added.
    if account_is_invited(&mut *db, id).await? != Some(true) {
        return Ok(false);
    }
    Ok(!account_delete_all_uninvited(db, &[id], now).await?.is_empty())
}

/// Like [`account_delete_uninvited`], for several accounts, which the caller has locked. Returns those that it deleted.
pub async fn account_delete_all_uninvited(
    db: impl PgExecutor<'_>,
    ids: &[AccountId],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Row>> {
    let delete = format!("delete from accounts a where id = any($2) and invited and not {STANDS} returning a.*");
    sqlx::query_as(sqlx::AssertSqlSafe(delete)).bind(now).bind(ids).fetch_all(db).await
}

/// Accounts that exist only because of an invitation, with no invitation left.
pub async fn account_list_uninvited(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<Vec<Row>> {
    let select = format!("select * from accounts a where invited and not {STANDS} order by id limit 1000");
    sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(now).fetch_all(db).await
}

/// Locks the accounts kept by `team` until the end of the transaction, in the order of their ids, which it returns:
/// members and invitees who have never signed in.
pub async fn account_hold_invited_by_team(db: impl PgExecutor<'_>, team: TeamId) -> sqlx::Result<Vec<AccountId>> {
    sqlx::query_scalar(
        "select id from accounts a where invited and (
             exists (select 1 from team_members m where m.account_id = a.id and m.team_id = $1)
             or exists (select 1 from team_invitations i where i.account_id = a.id and i.team_id = $1))
         order by id for update",
    )
    .bind(team)
    .fetch_all(db)
    .await
}

/// The account with this id, unless it is suspended, or a service account of a suspended person or of a team without
/// an active admin: for authentication.
pub async fn account_info(db: impl PgExecutor<'_>, id: AccountId) -> sqlx::Result<Option<Row>> {
    let select = format!("select a.* from accounts a where a.id = $1 and {LET_IN}");
    sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(id).fetch_optional(db).await
}

/// The account with this id, suspended or not.
pub async fn account_info_any(db: impl PgExecutor<'_>, id: AccountId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from accounts where id = $1").bind(id).fetch_optional(db).await
}

/// Personal accounts, suspended or not. Service accounts belong to their teams.
pub async fn account_list(db: impl PgExecutor<'_>, range: &Range) -> sqlx::Result<Page<Listed>> {
    let list = sqlx::query(
        "select a.*, exists (select 1 from passwords p where p.account_id = a.id and p.confirmed_at is not null)
                     as has_password
         from accounts a where not exists (select 1 from service_accounts s where s.id = a.id)",
    );
    range.fetch(db, list).await
}

/// The account with this address, case-insensitive.
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
    id: AccountId,
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

/// Records a sign-in: from now on the account exists independently of any invitation.
pub async fn account_signed_in(db: impl PgExecutor<'_>, id: AccountId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update accounts set last_login = $2, invited = false where id = $1")
        .bind(id)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Suspends the account from now on, or reinstates it if `at` is absent.
pub async fn account_suspend(db: impl PgExecutor<'_>, id: AccountId, at: Option<DateTime<Utc>>) -> sqlx::Result<()> {
    sqlx::query("update accounts set suspended_at = $2 where id = $1").bind(id).bind(at).execute(db).await?;
    Ok(())
}

/// Those of these accounts that administer the platform.
pub async fn account_administrators(db: impl PgExecutor<'_>, among: &[AccountId]) -> sqlx::Result<Vec<AccountId>> {
    sqlx::query_scalar("select id from accounts where id = any($1) and admin").bind(among).fetch_all(db).await
}

/// Grants or revokes administrator rights. `by` is who decided.
pub async fn account_set_admin(
    db: impl PgExecutor<'_>,
    id: AccountId,
    admin: bool,
    by: GrantedBy,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update accounts set admin = $2, admin_by = $3, updated_at = $4 where id = $1")
        .bind(id)
        .bind(admin)
        .bind(Text(by))
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Who last decided whether an account is an administrator.
pub async fn account_admin_by(db: impl PgExecutor<'_>, id: AccountId) -> sqlx::Result<Option<GrantedBy>> {
    let found = sqlx::query_scalar("select admin_by from accounts where id = $1").bind(id);
    Ok(found.fetch_optional(db).await?.and_then(|MaybeText(by)| by))
}

/// Whether an account belonged to a removed service account.
pub async fn account_is_retired(db: impl PgExecutor<'_>, id: AccountId) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar("select retired_at is not null from accounts where id = $1").bind(id);
    Ok(found.fetch_optional(db).await?.unwrap_or(false))
}

/// Ends all sessions, tokens and links of an account. Its password and identities remain: the user can sign in
/// again with them, once allowed.
pub async fn account_end_credentials(db: &mut PgConnection, id: AccountId) -> sqlx::Result<()> {
    for query in [
        "delete from sessions where account_id = $1",
        "delete from sign_in_links where account_id = $1",
        "delete from sign_in_attempts where account_id = $1",
        "delete from identity_proposals where account_id = $1",
        "delete from oauth_codes where account_id = $1",
        "delete from oauth_authorizations where account_id = $1",
        "delete from log_sessions where account_id = $1",
    ] {
        sqlx::query(query).bind(id).execute(&mut *db).await?;
    }
    Ok(())
}

/// Deletes service accounts that were removed before `before` and that no app, release or build refers to. Returns how
/// many.
pub async fn account_sweep_retired(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        "delete from accounts a where a.retired_at < $1
             and not exists (select 1 from apps where owner_id = a.id)
             and not exists (select 1 from releases where account_id = a.id)
             and not exists (select 1 from builds where account_id = a.id)",
    )
    .bind(before)
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
