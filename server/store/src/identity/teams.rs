//! Teams: rows and queries.

use api::{
    ids::{AccountId, TeamId},
    team_members::Role,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, BY_NAME, List, Page, Range},
    text::MaybeText,
};

/// The sort orders of teams.
pub static LIST: List = List::by(&[BY_NAME, BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `teams`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: TeamId,
    pub name: String,
    /// Whether its admins can add new people, if the policy leaves that to teams.
    pub invites: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A team and an account's role in it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OfAccount {
    #[sqlx(flatten)]
    pub team: Row,
    /// Absent for non-members.
    #[sqlx(try_from = "MaybeText<Role>")]
    pub role: Option<Role>,
}

/// Inserts a team created by `by`. Violates `teams_name_key` if the name is taken.
pub async fn team_create(
    db: impl PgExecutor<'_>,
    id: TeamId,
    name: &str,
    by: AccountId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("insert into teams (id, name, created_by, created_at, updated_at) values ($1, $2, $3, $4, $4)")
        .bind(id)
        .bind(name)
        .bind(by)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Makes `by`, an admin of the team, the recorded creator of what `maker` has created: its service accounts, and the
/// team itself. Returns whether `maker` had created the team. Does nothing if `by` is not an admin.
pub async fn team_take_over(
    db: &mut PgConnection,
    team: TeamId,
    maker: AccountId,
    by: AccountId,
) -> sqlx::Result<bool> {
    let admin = "exists (select 1 from team_members m where m.team_id = $1 and m.account_id = $3 and m.role = 'admin')";
    let mut took = false;
    // The team comes last.
    for (table, column) in [("service_accounts", "team_id"), ("teams", "id")] {
        let update = format!("update {table} set created_by = $3 where {column} = $1 and created_by = $2 and {admin}");
        let done = sqlx::query(sqlx::AssertSqlSafe(update)).bind(team).bind(maker).bind(by).execute(&mut *db).await?;
        took = done.rows_affected() == 1;
    }
    Ok(took)
}

/// The team with this name, or this id (as text); and the role of `account`.
pub async fn team_info(db: impl PgExecutor<'_>, team: &str, account: AccountId) -> sqlx::Result<Option<OfAccount>> {
    sqlx::query_as(
        "select t.*, m.role from teams t
         left join team_members m on m.team_id = t.id and m.account_id = $2
         where t.name = $1 or t.id::text = $1",
    )
    .bind(team)
    .bind(account)
    .fetch_optional(db)
    .await
}

/// The teams of which `account` is a member, or all of them, with its role.
pub async fn team_list(
    db: impl PgExecutor<'_>,
    account: AccountId,
    all: bool,
    range: &Range,
) -> sqlx::Result<Page<OfAccount>> {
    let list = sqlx::query(
        "select t.*, m.role from teams t
         left join team_members m on m.team_id = t.id and m.account_id = $1
         where $2 or m.role is not null",
    );
    range.fetch(db, list.bind(account).bind(all)).await
}

/// Renames a team. Violates `teams_name_key` if the name is taken.
pub async fn team_rename(db: impl PgExecutor<'_>, id: TeamId, name: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update teams set name = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(name)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Sets whether the admins of a team may add new people.
pub async fn team_invites(db: impl PgExecutor<'_>, id: TeamId, invites: bool, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update teams set invites = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(invites)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes a team and its memberships. Violates `apps_team_fkey` while it has apps. Returns `false` if it is gone already.
pub async fn team_delete(db: impl PgExecutor<'_>, id: TeamId) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from teams where id = $1").bind(id).execute(db).await?;
    Ok(gone.rows_affected() > 0)
}

/// Locks a team's row until the end of the transaction: two admins cannot remove each other concurrently.
pub async fn team_lock(db: impl PgExecutor<'_>, id: TeamId) -> sqlx::Result<()> {
    sqlx::query("select 1 from teams where id = $1 for update").bind(id).execute(db).await?;
    Ok(())
}

/// Like [`team_lock`], without waiting: `false` if somebody else has locked it, or if it is gone.
pub async fn team_lock_at_once(db: impl PgExecutor<'_>, id: TeamId) -> sqlx::Result<bool> {
    let locked = sqlx::query("select 1 from teams where id = $1 for update skip locked").bind(id).execute(db).await?;
    Ok(locked.rows_affected() > 0)
}
