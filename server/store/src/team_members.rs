//! Team members: rows and queries.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// A row of `team_members`, with who it is.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub team_id: Uuid,
    pub account_id: Uuid,
    pub role: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub email: String,
    pub name: Option<String>,
    pub last_login: Option<DateTime<Utc>>,
    /// The name of a service account; absent for people.
    pub service: Option<String>,
}

const SELECT: &str = "select m.*, a.email, coalesce(a.name, s.name) as name, a.last_login, s.name as service
    from team_members m join accounts a on a.id = m.account_id left join service_accounts s on s.id = a.id ";

/// Makes an account a member, or gives a member another role.
pub async fn team_member_save(
    db: impl PgExecutor<'_>,
    id: Uuid,
    team: Uuid,
    account: Uuid,
    role: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into team_members (id, team_id, account_id, role, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)
         on conflict on constraint team_members_account_key do update set role = $4, updated_at = $5",
    )
    .bind(id)
    .bind(team)
    .bind(account)
    .bind(role)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The members of a team, by address.
pub async fn team_member_list(db: impl PgExecutor<'_>, team: Uuid) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where m.team_id = $1 order by lower(a.email)")))
        .bind(team)
        .fetch_all(db)
        .await
}

/// The member with this address or, in text, this id of account or membership.
pub async fn team_member_info(db: impl PgExecutor<'_>, team: Uuid, who: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where m.team_id = $1 and (lower(a.email) = lower($2) or a.id::text = $2 or m.id::text = $2)"
    )))
    .bind(team)
    .bind(who)
    .fetch_optional(db)
    .await
}

/// How many people can administer a team.
pub async fn team_member_count_admins(db: impl PgExecutor<'_>, team: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from team_members m join accounts a on a.id = m.account_id
         where m.team_id = $1 and m.role = 'admin' and a.suspended_at is null",
    )
    .bind(team)
    .fetch_one(db)
    .await
}

/// Takes an account out of a team, off the team's apps, and out of its open invitations: one that
/// is older must not lead back in.
pub async fn team_member_delete(db: &mut sqlx::PgConnection, team: Uuid, account: Uuid) -> sqlx::Result<()> {
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
