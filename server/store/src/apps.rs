//! Apps: rows and queries.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// A row of `apps`, with the names of whom it belongs to: a person or a team, never both.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub name: String,
    pub owner_id: Option<Uuid>,
    pub owner_email: Option<String>,
    pub team_id: Option<Uuid>,
    pub team: Option<String>,
    pub uid: i32,
    pub stack: String,
    pub build_stack: String,
    pub maintenance: bool,
    pub locked: bool,
    pub buildpacks: Vec<String>,
    pub features: Vec<String>,
    pub buildpack_description: Option<String>,
    pub repo_size: Option<i64>,
    pub slug_size: Option<i64>,
    pub released_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

const SELECT: &str = "select a.id, a.name, a.owner_id, o.email as owner_email, a.team_id,
        t.name as team, a.uid, a.stack, a.build_stack,
        a.maintenance, a.locked, a.buildpacks, a.features, a.buildpack_description, a.repo_size, a.slug_size,
        a.released_at, a.created_at, a.updated_at
    from apps a left join accounts o on o.id = a.owner_id left join teams t on t.id = a.team_id ";

/// What a new app needs.
#[derive(Debug)]
pub struct New<'a> {
    pub id: Uuid,
    pub name: &'a str,
    /// A person; a team's app has none.
    pub owner: Option<Uuid>,
    pub team: Option<Uuid>,
    pub locked: bool,
    pub stack: &'a str,
    pub now: DateTime<Utc>,
}

/// Adds an app. Breaks `apps_name_key` when the name is taken.
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
pub async fn app_info(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where a.id = $1 and a.deleted_at is null")))
        .bind(id)
        .fetch_optional(db)
        .await
}

/// The app with this name, unless it is being destroyed.
pub async fn app_by_name(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where a.name = $1 and a.deleted_at is null")))
        .bind(name)
        .fetch_optional(db)
        .await
}

/// All apps, by name.
pub async fn app_list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where a.deleted_at is null order by a.name")))
        .fetch_all(db)
        .await
}

/// The ids of all apps.
pub async fn app_ids(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("select id from apps where deleted_at is null").fetch_all(db).await
}

/// Writes what an owner may change. Breaks `apps_name_key` when the name is taken.
pub async fn app_update(db: impl PgExecutor<'_>, row: &Row, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update apps set name = $2, maintenance = $3, build_stack = $4, buildpacks = $5, features = $6,
                locked = $7, updated_at = $8
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
    .execute(db)
    .await?;
    Ok(())
}

/// Gives an app to a person or to a team.
pub async fn app_give(
    db: impl PgExecutor<'_>,
    id: Uuid,
    owner: Option<Uuid>,
    team: Option<Uuid>,
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

/// Notes what a release brought with it.
pub async fn app_released(
    db: impl PgExecutor<'_>,
    id: Uuid,
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

/// Notes how big the repository is, in bytes.
pub async fn app_repo_size(db: impl PgExecutor<'_>, id: Uuid, size: i64) -> sqlx::Result<()> {
    sqlx::query("update apps set repo_size = $2 where id = $1").bind(id).bind(size).execute(db).await?;
    Ok(())
}

/// Takes the app out of sight and frees its name. The job that takes it apart removes the row.
pub async fn app_mark_deleted(db: impl PgExecutor<'_>, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update apps set deleted_at = $2, name = id::text where id = $1")
        .bind(id)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// The app with this id, even while it is being destroyed.
pub async fn app_even_deleted(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where a.id = $1"))).bind(id).fetch_optional(db).await
}

/// Removes the row and all that hangs on it.
pub async fn app_delete(db: &mut sqlx::PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from builds where app_id = $1").bind(id).execute(&mut *db).await?;
    sqlx::query("delete from releases where app_id = $1").bind(id).execute(&mut *db).await?;
    sqlx::query("delete from apps where id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// Locks the app's row until the end of the transaction: releases of an app are numbered one by one.
pub async fn app_lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("select 1 from apps where id = $1 for update").bind(id).execute(db).await?;
    Ok(())
}
