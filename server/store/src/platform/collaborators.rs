//! Collaborators, and all other relations of an account to an app: rows and queries.

use api::{
    collaborators::CollaboratorRole,
    ids::{AccountId, AppId, CollaboratorId},
    team_members::Role,
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, Kind, List, Order, Page, Range},
    text::{MaybeText, Text},
};

/// The sort orders of collaborators: owner first.
pub static LIST: List = List::by(&[Order::unique("user", Kind::Text, "t.place"), BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `collaborators`, with its account.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: CollaboratorId,
    pub app_id: AppId,
    pub account_id: AccountId,
    pub permissions: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub email: String,
    #[sqlx(try_from = "Text<CollaboratorRole>")]
    pub role: CollaboratorRole,
}

/// The app's owner, as one of its collaborators.
#[derive(Debug)]
pub struct Owner<'a> {
    pub id: CollaboratorId,
    /// An account, or a team.
    pub account: Uuid,
    pub email: &'a str,
    pub permissions: &'a [&'a str],
}

/// The relations of an account to an app, or to another subject that a person or a team owns. What follows from them is
/// not decided here.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct Access {
    /// The role in the owning team.
    #[sqlx(try_from = "MaybeText<Role>")]
    pub team_role: Option<Role>,
    /// What was granted on this very subject.
    pub permissions: Option<Vec<String>>,
}

const SELECT: &str = "select c.*, a.email, coalesce(m.role, 'collaborator') as role from collaborators c
    join accounts a on a.id = c.account_id join apps p on p.id = c.app_id
    left join team_members m on m.team_id = p.team_id and m.account_id = c.account_id ";

const ACCESS: &str = "select m.role as team_role, c.permissions from apps p
    left join team_members m on m.team_id = p.team_id and m.account_id = $1
    left join collaborators c on c.app_id = p.id and c.account_id = $1 ";

/// Adds a collaborator, or changes their permissions.
pub async fn collaborator_save(
    db: impl PgExecutor<'_>,
    id: CollaboratorId,
    app: AppId,
    account: AccountId,
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

/// The owner and the collaborators of an app.
pub async fn collaborator_list(
    db: impl PgExecutor<'_>,
    app: AppId,
    owner: &Owner<'_>,
    range: &Range,
) -> sqlx::Result<Page<Row>> {
    let list = sqlx::query(
        "select c.id, c.app_id, c.account_id, c.permissions, c.created_at, c.updated_at, a.email,
                coalesce(m.role, 'collaborator') as role, '1' || lower(a.email) as place
         from collaborators c join accounts a on a.id = c.account_id join apps p on p.id = c.app_id
         left join team_members m on m.team_id = p.team_id and m.account_id = c.account_id
         where c.app_id = $1
         union all
         select $2, id, $3, $5, created_at, created_at, $4, 'owner', '0' from apps where id = $1",
    );
    let list = list.bind(app).bind(owner.id).bind(owner.account).bind(owner.email).bind(owner.permissions);
    range.fetch(db, list).await
}

/// The collaborator with this address, or this id (as text) of account or row.
pub async fn collaborator_info(db: impl PgExecutor<'_>, app: AppId, who: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where c.app_id = $1 and (lower(a.email) = lower($2) or a.id::text = $2 or c.id::text = $2)"
    )))
    .bind(app)
    .bind(who)
    .fetch_optional(db)
    .await
}

/// Removes a collaborator from an app. Returns `false` if it is gone already.
pub async fn collaborator_delete(db: impl PgExecutor<'_>, app: AppId, account: AccountId) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from collaborators where app_id = $1 and account_id = $2")
        .bind(app)
        .bind(account)
        .execute(db)
        .await?;
    Ok(gone.rows_affected() > 0)
}

/// Removes all collaborators from an app.
pub async fn collaborator_delete_all(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<()> {
    sqlx::query("delete from collaborators where app_id = $1").bind(app).execute(db).await?;
    Ok(())
}

/// The relations of `account` to `app`.
pub async fn access_info(db: impl PgExecutor<'_>, account: AccountId, app: AppId) -> sqlx::Result<Access> {
    let found = sqlx::query_as(sqlx::AssertSqlSafe(format!("{ACCESS} where p.id = $2"))).bind(account).bind(app);
    Ok(found.fetch_optional(db).await?.unwrap_or_default())
}

/// The apps on which others can see one of these accounts: those that they own or collaborate on. Pairs of an account and
/// an app.
pub async fn collaborator_shared(
    db: impl PgExecutor<'_>,
    accounts: &[AccountId],
) -> sqlx::Result<Vec<(AccountId, AppId)>> {
    sqlx::query_as(
        "select account_id, app_id from collaborators where account_id = any($1)
         union select a.owner_id, a.id from apps a where a.owner_id = any($1)
             and exists (select 1 from collaborators c where c.app_id = a.id)",
    )
    .bind(accounts)
    .fetch_all(db)
    .await
}
