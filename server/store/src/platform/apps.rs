//! Apps: rows and queries.

use api::{
    ids::{AccountId, AppId, TeamId},
    team_members::Role,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    collaborators::Access,
    pages::{BY_CHANGE, BY_CREATION, BY_ID, BY_NAME, List, Page, Range},
    text::MaybeText,
};

/// The sort orders of apps.
pub static LIST: List = List::by(&[BY_NAME, BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `apps`, with the names of its owner: a person or a team, never both.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: AppId,
    pub name: String,
    pub owner_id: Option<AccountId>,
    pub owner_email: Option<String>,
    pub team_id: Option<TeamId>,
    pub team: Option<String>,
    pub uid: i32,
    pub stack: String,
    pub build_stack: String,
    pub maintenance: bool,
    pub locked: bool,
    /// Masked, for display.
    pub buildpacks: Vec<String>,
    /// The originals, if they differ.
    pub buildpacks_sealed: Option<Vec<u8>>,
    pub features: Vec<String>,
    pub buildpack_description: Option<String>,
    pub repo_size: Option<i64>,
    pub slug_size: Option<i64>,
    pub released_at: Option<DateTime<Utc>>,
    /// The watch period of its releases.
    pub watch_seconds: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

const COLUMNS: &str = "a.id, a.name, a.owner_id, o.email as owner_email, a.team_id,
        t.name as team, a.uid, a.stack, a.build_stack,
        a.maintenance, a.locked, a.buildpacks, a.buildpacks_sealed, a.features, a.buildpack_description, a.repo_size, a.slug_size,
        a.released_at, a.watch_seconds, a.created_at, a.updated_at";
const TABLES: &str = "apps a left join accounts o on o.id = a.owner_id left join teams t on t.id = a.team_id";

/// How `$1` is related to an app, and whether that makes the app visible: an administrator of the platform
/// (`$2`), the owner of the app or its team, a collaborator with a permission in `$3`, or, if nothing was
/// granted, a member of the team while the app is not locked. Same as the rules for a single app.
pub(crate) const VISIBLE: &str = "left join team_members m on m.team_id = a.team_id and m.account_id = $1
    left join collaborators c on c.app_id = a.id and c.account_id = $1
    where a.deleted_at is null
        and ($2 or a.owner_id = $1 or m.role = 'admin' or c.permissions && $3
             or c.permissions is null and m.role is not null and not a.locked)";

fn select(rest: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("select {COLUMNS} from {TABLES} {rest}"))
}

/// The account that apps are listed for.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    pub account: AccountId,
    /// An administrator of the platform, who sees all.
    pub admin: bool,
    /// The permissions that make an app visible.
    pub permissions: &'a [&'a str],
}

/// A filter for visible apps; absent fields match everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    pub team: Option<TeamId>,
    pub ids: Option<&'a [AppId]>,
    /// Only apps that this account collaborates on.
    pub collaborator: Option<AccountId>,
}

/// An app, and the viewer's relation to it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Seen {
    #[sqlx(flatten)]
    pub row: Row,
    #[sqlx(flatten)]
    pub access: Access,
}

/// The fields of a new app.
#[derive(Debug)]
pub struct New<'a> {
    pub id: AppId,
    pub name: &'a str,
    /// A person; absent for a team's app.
    pub owner: Option<AccountId>,
    pub team: Option<TeamId>,
    pub locked: bool,
    pub stack: &'a str,
    pub now: DateTime<Utc>,
}

/// Inserts an app. Violates `apps_name_key` if the name is taken.
pub async fn app_create(db: impl PgExecutor<'_>, new: &New<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into apps (id, name, owner_id, team_id, locked, stack, build_stack, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $6, $7, $7)",
    )
    .bind(new.id)
    .bind(new.name)
    .bind(new.owner)
    .bind(new.team)
    .bind(new.locked)
    .bind(new.stack)
    .bind(new.now)
    .execute(db)
    .await?;
    Ok(())
}

/// The app with this id, unless it is being destroyed.
pub async fn app_info(db: impl PgExecutor<'_>, id: AppId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(select("where a.id = $1 and a.deleted_at is null")).bind(id).fetch_optional(db).await
}

/// The app with this name, unless it is being destroyed.
pub async fn app_by_name(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(select("where a.name = $1 and a.deleted_at is null")).bind(name).fetch_optional(db).await
}

/// The app that gave up this name after `since`, unless it is being destroyed.
pub async fn app_by_former_name(
    db: impl PgExecutor<'_>,
    name: &str,
    since: DateTime<Utc>,
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(select(
        "join app_former_names f on f.app_id = a.id where f.name = $1 and f.created_at > $2 and a.deleted_at is null",
    ))
    .bind(name)
    .bind(since)
    .fetch_optional(db)
    .await
}

/// Records that an app has given up a name; of its former names, the newest `most` are kept.
pub async fn app_name_release(
    db: &mut PgConnection,
    id: AppId,
    name: &str,
    most: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into app_former_names (name, app_id, created_at) values ($1, $2, $3)
         on conflict (name) do update set app_id = excluded.app_id, created_at = excluded.created_at,
             owner_id = null, team_id = null",
    )
    .bind(name)
    .bind(id)
    .bind(now)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "delete from app_former_names where app_id = $1 and name not in (
             select name from app_former_names where app_id = $1 order by created_at desc, name limit $2)",
    )
    .bind(id)
    .bind(most)
    .execute(db)
    .await?;
    Ok(())
}

/// Whose name it is, since its app was destroyed.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Reservation {
    pub owner_id: Option<AccountId>,
    pub team_id: Option<TeamId>,
    /// The role in this team of the account that asks.
    #[sqlx(try_from = "MaybeText<Role>")]
    pub team_role: Option<Role>,
}

/// For whom a name is reserved that a destroyed app had after `since`, asked by `account`.
pub async fn app_name_reservation(
    db: impl PgExecutor<'_>,
    name: &str,
    account: AccountId,
    since: DateTime<Utc>,
) -> sqlx::Result<Option<Reservation>> {
    sqlx::query_as(
        "select f.owner_id, f.team_id, m.role as team_role from app_former_names f
         left join team_members m on m.team_id = f.team_id and m.account_id = $2
         where f.name = $1 and f.created_at > $3 and (f.owner_id is not null or f.team_id is not null)",
    )
    .bind(name)
    .bind(account)
    .bind(since)
    .fetch_optional(db)
    .await
}

/// Reserves the names of an app for its owner, in the transaction that marks it as destroyed: the name that it has, and
/// those that it had before. Of each owner, the newest `most` stay reserved.
pub async fn app_name_reserve(db: &mut PgConnection, id: AppId, most: i64, now: DateTime<Utc>) -> sqlx::Result<()> {
    let owner: Option<(Option<AccountId>, Option<TeamId>)> = sqlx::query_as(
        "with app as (select id, name, owner_id, team_id from apps where id = $1 and deleted_at is null for update)
         insert into app_former_names (name, app_id, created_at, owner_id, team_id)
             select name, id, $2, owner_id, team_id from app
         on conflict (name) do update set app_id = excluded.app_id, created_at = excluded.created_at,
             owner_id = excluded.owner_id, team_id = excluded.team_id
         returning owner_id, team_id",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(&mut *db)
    .await?;
    let Some((account, team)) = owner else { return Ok(()) };
    sqlx::query("update app_former_names set owner_id = $2, team_id = $3 where app_id = $1")
        .bind(id)
        .bind(account)
        .bind(team)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "delete from app_former_names where name in (
             select name from app_former_names where owner_id = $1 or team_id = $2
             order by created_at desc, name offset $3)",
    )
    .bind(account)
    .bind(team)
    .bind(most)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes former names that were given up before `before`.
pub async fn app_name_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from app_former_names where created_at < $1").bind(before).execute(db).await?;
    Ok(())
}

/// Forgets whose former name this is: an app has it now.
pub async fn app_name_claim(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<()> {
    sqlx::query("delete from app_former_names where name = $1").bind(name).execute(db).await?;
    Ok(())
}

/// The apps visible to an account.
pub async fn app_list(
    db: impl PgExecutor<'_>,
    viewer: &Viewer<'_>,
    filter: &Filter<'_>,
    range: &Range,
) -> sqlx::Result<Page<Seen>> {
    let list = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS}, m.role as team_role, c.permissions from {TABLES} {VISIBLE}
            and ($4::uuid is null or a.team_id = $4) and ($5::uuid[] is null or a.id = any($5))
            and ($6::uuid is null or exists (select 1 from collaborators w where w.app_id = a.id and w.account_id = $6))"
    ));
    let list = sqlx::query(list).bind(viewer.account).bind(viewer.admin).bind(viewer.permissions);
    range.fetch(db, list.bind(filter.team).bind(filter.ids).bind(filter.collaborator)).await
}

/// Which of these accounts can see which of `apps`: pairs of an account and an app. Administrators of the platform, who see
/// all of them, are not treated differently. `permissions`: as in [`Viewer`].
pub async fn app_viewers(
    db: impl PgExecutor<'_>,
    accounts: &[AccountId],
    permissions: &[&str],
    apps: &[AppId],
) -> sqlx::Result<Vec<(AccountId, AppId)>> {
    // The query begins with the accounts related to an app, so its cost does not depend on the total number of
    // accounts.
    let visible = VISIBLE.replace("$1", "w.account_id");
    let viewers = sqlx::AssertSqlSafe(format!(
        "select w.account_id, a.id from apps a cross join lateral (
             select a.owner_id as account_id
             union select t.account_id from team_members t where t.team_id = a.team_id
             union select g.account_id from collaborators g where g.app_id = a.id) w
         {visible} and a.id = any($4) and w.account_id = any($1)"
    ));
    sqlx::query_as(viewers).bind(accounts).bind(false).bind(permissions).bind(apps).fetch_all(db).await
}

/// The people related to an app: its owner, its collaborators, and the recipient of a pending transfer; not the members
/// of its team.
pub async fn app_people(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Vec<AccountId>> {
    sqlx::query_scalar(
        "select owner_id from apps where id = $1 and owner_id is not null
         union select account_id from collaborators where app_id = $1
         union select recipient_id from app_transfers where app_id = $1 and state = 'pending'",
    )
    .bind(app)
    .fetch_all(db)
    .await
}

/// The fields of every app that the router and the supervisor need.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Served {
    pub id: AppId,
    pub name: String,
    pub uid: i32,
    pub maintenance: bool,
    pub slug_size: Option<i64>,
}

/// These apps, or all of them, for reconcilers.
pub async fn app_all(db: impl PgExecutor<'_>, only: Option<&[AppId]>) -> sqlx::Result<Vec<Served>> {
    sqlx::query_as(
        "select id, name, uid, maintenance, slug_size from apps
         where deleted_at is null and ($1::uuid[] is null or id = any($1)) order by name",
    )
    .bind(only)
    .fetch_all(db)
    .await
}

/// The ids of all apps.
pub async fn app_ids(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<AppId>> {
    sqlx::query_scalar("select id from apps where deleted_at is null").fetch_all(db).await
}

/// Updates the fields that an owner may change. Violates `apps_name_key` if the name is taken.
pub async fn app_update(db: impl PgExecutor<'_>, row: &Row, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update apps set name = $2, maintenance = $3, build_stack = $4, buildpacks = $5, features = $6,
                locked = $7, updated_at = $8, buildpacks_sealed = $9, watch_seconds = $10
         where id = $1",
    )
    .bind(row.id)
    .bind(&row.name)
    .bind(row.maintenance)
    .bind(&row.build_stack)
    .bind(&row.buildpacks)
    .bind(&row.features)
    .bind(row.locked)
    .bind(now)
    .bind(&row.buildpacks_sealed)
    .bind(row.watch_seconds)
    .execute(db)
    .await?;
    Ok(())
}

/// Transfers an app to a person or a team.
pub async fn app_set_owner(
    db: impl PgExecutor<'_>,
    id: AppId,
    owner: Option<AccountId>,
    team: Option<TeamId>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update apps set owner_id = $2, team_id = $3, locked = locked and $3 is not null, updated_at = $4 where id = $1")
        .bind(id)
        .bind(owner)
        .bind(team)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Records the data of a release.
pub async fn app_released(
    db: impl PgExecutor<'_>,
    id: AppId,
    slug: Option<&crate::slugs::Row>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update apps set released_at = $2, slug_size = coalesce($3, slug_size),
                buildpack_description = coalesce($4, buildpack_description),
                stack = coalesce($5, stack), updated_at = $2
         where id = $1",
    )
    .bind(id)
    .bind(now)
    .bind(slug.and_then(|s| s.size))
    .bind(slug.and_then(|s| s.buildpack_description.clone()))
    .bind(slug.map(|s| s.stack.clone()))
    .execute(db)
    .await?;
    Ok(())
}

/// Records the size of the repository, in bytes.
pub async fn app_repo_size(db: impl PgExecutor<'_>, id: AppId, size: i64) -> sqlx::Result<()> {
    sqlx::query("update apps set repo_size = $2 where id = $1").bind(id).bind(size).execute(db).await?;
    Ok(())
}

/// Hides the app and frees its name (see [`app_name_reserve`]). The job that destroys it deletes the row. Returns
/// `false` if it is hidden already.
pub async fn app_mark_deleted(db: impl PgExecutor<'_>, id: AppId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let hidden = sqlx::query("update apps set deleted_at = $2, name = id::text where id = $1 and deleted_at is null")
        .bind(id)
        .bind(now)
        .execute(db)
        .await?;
    Ok(hidden.rows_affected() > 0)
}

/// Deletes the row and everything that references it.
pub async fn app_delete(db: &mut PgConnection, id: AppId) -> sqlx::Result<()> {
    sqlx::query("delete from builds where app_id = $1").bind(id).execute(&mut *db).await?;
    sqlx::query("delete from releases where app_id = $1").bind(id).execute(&mut *db).await?;
    sqlx::query("delete from apps where id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// Locks the app's row until the end of the transaction: releases of an app are numbered sequentially. Returns `false`
/// if the app is gone, or is being destroyed.
pub async fn app_lock(db: impl PgExecutor<'_>, id: AppId) -> sqlx::Result<bool> {
    let is_there = sqlx::query_scalar("select deleted_at is null from apps where id = $1 for update");
    Ok(is_there.bind(id).fetch_optional(db).await?.unwrap_or(false))
}

/// Like [`app_lock`], but does not wait for whoever has locked the row: returns `false` then, too.
pub async fn app_try_lock(db: impl PgExecutor<'_>, id: AppId) -> sqlx::Result<bool> {
    let is_there = sqlx::query_scalar("select deleted_at is null from apps where id = $1 for update skip locked");
    Ok(is_there.bind(id).fetch_optional(db).await?.unwrap_or(false))
}

/// Whether there is an app with this id that is not being destroyed.
pub async fn app_exists(db: impl PgExecutor<'_>, id: AppId) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select 1 from apps where id = $1 and deleted_at is null)")
        .bind(id)
        .fetch_one(db)
        .await
}

/// Those of these apps that have a row, even while they are being destroyed.
pub async fn app_among(db: impl PgExecutor<'_>, ids: &[AppId]) -> sqlx::Result<Vec<AppId>> {
    sqlx::query_scalar("select id from apps where id = any($1)").bind(ids).fetch_all(db).await
}
