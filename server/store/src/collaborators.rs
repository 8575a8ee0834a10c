//! Collaborators, and all else that ties an account to an app: rows and queries.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// A row of `collaborators`, with who it is.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub app_id: Uuid,
    pub account_id: Uuid,
    pub permissions: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub email: String,
    /// What it is in the team of the app.
    pub team_role: Option<String>,
}

/// What ties an account to an app. What follows from it is not decided here.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct Access {
    pub app_id: Uuid,
    pub team_role: Option<String>,
    pub permissions: Option<Vec<String>>,
}

const SELECT: &str = "select c.*, a.email, m.role as team_role from collaborators c
    join accounts a on a.id = c.account_id join apps p on p.id = c.app_id
    left join team_members m on m.team_id = p.team_id and m.account_id = c.account_id ";

const ACCESS: &str = "select p.id as app_id, m.role as team_role, c.permissions from apps p
    left join team_members m on m.team_id = p.team_id and m.account_id = $1
    left join collaborators c on c.app_id = p.id and c.account_id = $1 ";

/// Lets an account work on an app, or changes what it may.
pub async fn collaborator_save(
    db: impl PgExecutor<'_>,
    id: Uuid,
    app: Uuid,
    account: Uuid,
    permissions: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into collaborators (id, app_id, account_id, permissions, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)
         on conflict on constraint collaborators_account_key do update set permissions = $4, updated_at = $5",
    )
    .bind(id)
    .bind(app)
    .bind(account)
    .bind(permissions)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The collaborators of an app, by address.
pub async fn collaborator_list(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where c.app_id = $1 order by lower(a.email)")))
        .bind(app)
        .fetch_all(db)
        .await
}

/// The collaborators of all apps of a team.
pub async fn collaborator_list_of_team(db: impl PgExecutor<'_>, team: Uuid) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where p.team_id = $1 and p.deleted_at is null order by p.name, lower(a.email)"
    )))
    .bind(team)
    .fetch_all(db)
    .await
}

/// The collaborator with this address or, in text, this id of account or row.
pub async fn collaborator_info(db: impl PgExecutor<'_>, app: Uuid, who: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where c.app_id = $1 and (lower(a.email) = lower($2) or a.id::text = $2 or c.id::text = $2)"
    )))
    .bind(app)
    .bind(who)
    .fetch_optional(db)
    .await
}

/// Takes an account off an app.
pub async fn collaborator_delete(db: impl PgExecutor<'_>, app: Uuid, account: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from collaborators where app_id = $1 and account_id = $2")
        .bind(app)
        .bind(account)
        .execute(db)
        .await?;
    Ok(())
}

/// Takes everybody off an app.
pub async fn collaborator_delete_all(db: impl PgExecutor<'_>, app: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from collaborators where app_id = $1").bind(app).execute(db).await?;
    Ok(())
}

/// What ties `account` to `app`.
pub async fn access_info(db: impl PgExecutor<'_>, account: Uuid, app: Uuid) -> sqlx::Result<Access> {
    let found = sqlx::query_as(sqlx::AssertSqlSafe(format!("{ACCESS} where p.id = $2"))).bind(account).bind(app);
    Ok(found.fetch_optional(db).await?.unwrap_or_default())
}

/// What ties `account` to each app that it has to do with, its own left out.
pub async fn access_list(db: impl PgExecutor<'_>, account: Uuid) -> sqlx::Result<Vec<Access>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{ACCESS} where m.role is not null or c.permissions is not null")))
        .bind(account)
        .fetch_all(db)
        .await
}
