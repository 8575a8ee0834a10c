//! Team members: rows and queries.

use api::{
    ids::{AccountId, AppId, TeamId, TeamMemberId},
    team_members::{GrantedBy, Role},
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::{
    apps,
    pages::{BY_CHANGE, BY_CREATION, BY_EMAIL, BY_ID, Kind, List, Order, Page, Range},
    text::{MaybeText, Text},
};

/// The sort orders of members.
pub static LIST: List = List::by(&[BY_EMAIL, BY_ID, BY_CREATION, BY_CHANGE]);

/// The sort order of a team's app permissions: app by app, members first.
pub static ACCESS_LIST: List = List::by(&[Order::unique("app", Kind::Text, "t.place"), BY_ID]);

/// A row of `team_members`, with its account.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: TeamMemberId,
    pub team_id: TeamId,
    pub account_id: AccountId,
    #[sqlx(try_from = "Text<Role>")]
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub email: String,
    pub name: Option<String>,
    pub last_login: Option<DateTime<Utc>>,
    /// The name of a service account; absent for people.
    pub service: Option<String>,
    /// Who set the role.
    #[sqlx(try_from = "Text<GrantedBy>")]
    pub given_by: GrantedBy,
}

const SELECT: &str = "select m.*, a.email, coalesce(a.name, s.name) as name, a.last_login, s.name as service
    from team_members m join accounts a on a.id = m.account_id left join service_accounts s on s.id = a.id ";

/// Adds a member, or changes a member's role, by a person's decision.
pub async fn team_member_save(
    db: impl PgExecutor<'_>,
    id: TeamMemberId,
    team: TeamId,
    account: AccountId,
    role: Role,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "with back as (delete from team_member_removals where team_id = $2 and account_id = $3)
         insert into team_members (id, team_id, account_id, role, given_by, created_at, updated_at)
         values ($1, $2, $3, $4, 'person', $5, $5)
         on conflict on constraint team_members_account_key
         do update set role = $4, given_by = 'person', updated_at = $5",
    )
    .bind(id)
    .bind(team)
    .bind(account)
    .bind(Text(role))
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Like [`team_member_save`], by a rule: a person's decision about the account takes precedence.
pub async fn team_member_grant(
    db: impl PgExecutor<'_>,
    id: TeamMemberId,
    team: TeamId,
    account: AccountId,
    role: Role,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into team_members (id, team_id, account_id, role, given_by, created_at, updated_at)
         select $1, $2, $3, $4, 'rule', $5, $5
         where not exists (select 1 from team_member_removals where team_id = $2 and account_id = $3)
         on conflict on constraint team_members_account_key
         do update set role = $4, updated_at = $5 where team_members.given_by = 'rule'",
    )
    .bind(id)
    .bind(team)
    .bind(account)
    .bind(Text(role))
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Records that a person removed an account from a team, so that no rule adds it again.
pub async fn team_member_block(
    db: impl PgExecutor<'_>,
    id: TeamMemberId,
    team: TeamId,
    account: AccountId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into team_member_removals (id, team_id, account_id, created_at, updated_at)
         values ($1, $2, $3, $4, $4) on conflict on constraint team_member_removals_account_key do nothing",
    )
    .bind(id)
    .bind(team)
    .bind(account)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// A person's decision about an account in a team: `Some(true)` for a member, `Some(false)` for a removed one.
pub async fn team_member_decision(
    db: impl PgExecutor<'_>,
    team: TeamId,
    account: AccountId,
) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar(
        "select true from team_members where team_id = $1 and account_id = $2 and given_by = 'person'
         union all select false from team_member_removals where team_id = $1 and account_id = $2 limit 1",
    )
    .bind(team)
    .bind(account)
    .fetch_optional(db)
    .await
}

/// The members of a team.
pub async fn team_member_list(db: impl PgExecutor<'_>, team: TeamId, range: &Range) -> sqlx::Result<Page<Row>> {
    let list = sqlx::AssertSqlSafe(format!("{SELECT} where m.team_id = $1"));
    range.fetch(db, sqlx::query(list).bind(team)).await
}

/// A member of a team, or an outside collaborator of one of its apps, and that app.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OnApp {
    pub app_id: AppId,
    pub app: String,
    pub locked: bool,
    pub account_id: AccountId,
    pub email: String,
    /// The role in the team; absent for outsiders.
    #[sqlx(try_from = "MaybeText<Role>")]
    pub role: Option<Role>,
    /// The permissions granted on this app.
    pub permissions: Option<Vec<String>>,
}

/// Every member with every app of a team that is visible to `viewer`.
pub async fn team_access_list(
    db: impl PgExecutor<'_>,
    team: TeamId,
    viewer: &apps::Viewer<'_>,
    range: &Range,
) -> sqlx::Result<Page<OnApp>> {
    let list = sqlx::AssertSqlSafe(format!(
        "with visible as (select a.id, a.name, a.locked from apps a {} and a.team_id = $4),
         pairs as (
             select v.id as app_id, v.name as app, v.locked, tm.account_id, tm.role
             from visible v join team_members tm on tm.team_id = $4
             union all
             select v.id, v.name, v.locked, k.account_id, null
             from visible v join collaborators k on k.app_id = v.id
             where not exists (select 1 from team_members n where n.team_id = $4 and n.account_id = k.account_id))
         select p.*, u.email, g.permissions, md5(p.app_id::text || p.account_id::text)::uuid as id,
             p.app || ' ' || (p.role is null)::int || lower(u.email) collate \"C\" as place
         from pairs p join accounts u on u.id = p.account_id
         left join collaborators g on g.app_id = p.app_id and g.account_id = p.account_id",
        apps::VISIBLE
    ));
    let list = sqlx::query(list).bind(viewer.account).bind(viewer.admin).bind(viewer.permissions).bind(team);
    range.fetch(db, list).await
}

/// The member with this address, or this id (as text) of account or membership.
pub async fn team_member_info(db: impl PgExecutor<'_>, team: TeamId, who: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where m.team_id = $1 and (lower(a.email) = lower($2) or a.id::text = $2 or m.id::text = $2)"
    )))
    .bind(team)
    .bind(who)
    .fetch_optional(db)
    .await
}

/// The number of people who can administer a team.
pub async fn team_member_count_admins(db: impl PgExecutor<'_>, team: TeamId) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from team_members m join accounts a on a.id = m.account_id
         where m.team_id = $1 and m.role = 'admin' and a.suspended_at is null",
    )
    .bind(team)
    .fetch_one(db)
    .await
}

/// Removes an account from a team, from the team's apps, and from its pending invitations: an older one must
/// not lead back in.
pub async fn team_member_delete(db: &mut sqlx::PgConnection, team: TeamId, account: AccountId) -> sqlx::Result<()> {
    sqlx::query(
        "delete from collaborators where account_id = $2 and app_id in (select id from apps where team_id = $1)",
    )
    .bind(team)
    .bind(account)
    .execute(&mut *db)
    .await?;
    for query in [
        "delete from team_invitations where team_id = $1 and account_id = $2",
        "delete from team_members where team_id = $1 and account_id = $2",
    ] {
        sqlx::query(query).bind(team).bind(account).execute(&mut *db).await?;
    }
    Ok(())
}

/// All members of a team, including service accounts, and those who are invited to it.
pub async fn team_member_accounts(db: impl PgExecutor<'_>, team: TeamId) -> sqlx::Result<Vec<AccountId>> {
    sqlx::query_scalar(
        "select account_id from team_members where team_id = $1
         union select account_id from team_invitations where team_id = $1",
    )
    .bind(team)
    .fetch_all(db)
    .await
}

/// Which of these accounts are members of which of `teams`: pairs of an account and a team.
pub async fn team_member_among(
    db: impl PgExecutor<'_>,
    accounts: &[AccountId],
    teams: &[TeamId],
) -> sqlx::Result<Vec<(AccountId, TeamId)>> {
    sqlx::query_as("select account_id, team_id from team_members where team_id = any($2) and account_id = any($1)")
        .bind(accounts)
        .bind(teams)
        .fetch_all(db)
        .await
}

/// Which of these accounts share a team with which of `others`: pairs of an account and one of the others.
pub async fn team_member_companions(
    db: impl PgExecutor<'_>,
    accounts: &[AccountId],
    others: &[AccountId],
) -> sqlx::Result<Vec<(AccountId, AccountId)>> {
    sqlx::query_as(
        "select distinct m.account_id, o.account_id from team_members o join team_members m on m.team_id = o.team_id
         where o.account_id = any($2) and m.account_id = any($1)",
    )
    .bind(accounts)
    .bind(others)
    .fetch_all(db)
    .await
}
