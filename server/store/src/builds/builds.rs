//! Builds: rows and queries.

use api::{
    builds::BuildStatus,
    ids::{AccountId, AppId, BuildId, ReleaseId, SlugId},
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, Kind, List, Order, Page, Range},
    queues::BUILDS,
    text::Text,
};

/// The sort orders of an app's builds.
pub static LIST: List = List::by(&[Order::unique("number", Kind::Number, "t.number"), BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `builds`, with the address of its creator.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: BuildId,
    pub app_id: AppId,
    pub number: i32,
    #[sqlx(try_from = "Text<BuildStatus>")]
    pub status: BuildStatus,
    pub account_id: AccountId,
    pub email: String,
    pub stack: String,
    /// Masked for display, and the originals if they differ; likewise `source_url`.
    pub buildpacks: Vec<String>,
    pub buildpacks_sealed: Option<Vec<u8>>,
    pub source_url: Option<String>,
    pub source_sealed: Option<Vec<u8>>,
    pub source_version: Option<String>,
    pub source_description: Option<String>,
    pub source_checksum: Option<String>,
    pub git_ref: Option<String>,
    pub git_old: Option<String>,
    pub git_new: Option<String>,
    pub slug_id: Option<SlugId>,
    pub release_id: Option<ReleaseId>,
    /// How long it waits for its release, if not for the app's watch period.
    pub wait: Option<String>,
    pub error: Option<String>,
    pub cancelled_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Its position in the queue, from 1; 0 if running or finished.
    pub queue_position: i64,
}

/// Selects builds with their description truncated to this many characters: lists show one line of it.
fn select(description: u32, rest: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!(
        "select b.id, b.app_id, b.number, b.status, b.account_id, u.email, b.stack, b.buildpacks,
             b.buildpacks_sealed, b.source_url, b.source_sealed,
             b.source_version, left(b.source_description, {description}) as source_description, b.source_checksum,
             b.git_ref, b.git_old, b.git_new, b.slug_id, b.release_id, b.wait, b.error, b.cancelled_at, b.started_at,
             b.created_at, b.updated_at, coalesce(q.position, 0) as queue_position
         from builds b join accounts u on u.id = b.account_id left join ({}) q on q.id = b.id {rest}",
        BUILDS.waiting()
    ))
}

/// The length to which the description of new builds is truncated when it is stored.
const WHOLE: u32 = 10_000;
/// The length to which descriptions are truncated in lists.
const LINE: u32 = 200;

/// The fields of a new build; its number is assigned here.
#[derive(Clone, Debug, Default)]
pub struct New {
    pub id: BuildId,
    pub app: AppId,
    pub account: AccountId,
    pub stack: String,
    pub buildpacks: Vec<String>,
    pub buildpacks_sealed: Option<Vec<u8>>,
    pub source_url: Option<String>,
    pub source_sealed: Option<Vec<u8>>,
    pub source_version: Option<String>,
    pub source_description: Option<String>,
    pub source_checksum: Option<String>,
    /// ref, old id, new id
    pub git: Option<(String, String, String)>,
    /// A commit to build without moving a branch, instead of `git`.
    pub commit: Option<String>,
    pub wait: Option<String>,
    pub now: DateTime<Utc>,
}

/// Inserts a build with the next number. Lock the app first.
pub async fn build_create(db: &mut PgConnection, new: &New) -> sqlx::Result<()> {
    let (git_ref, git_old, git_new) = new.git.clone().map(|(r, o, n)| (Some(r), Some(o), Some(n))).unwrap_or_default();
    sqlx::query(
        "insert into builds (id, app_id, number, status, account_id, stack, buildpacks, source_url, source_version,
                             source_description, source_checksum, git_ref, git_old, git_new, created_at, updated_at,
                             buildpacks_sealed, source_sealed, wait)
         select $1, $2, coalesce(max(number), 0) + 1, 'pending', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13,
                $14, $15, $16
         from builds where app_id = $2",
    )
    .bind(new.id)
    .bind(new.app)
    .bind(new.account)
    .bind(&new.stack)
    .bind(&new.buildpacks)
    .bind(&new.source_url)
    .bind(&new.source_version)
    .bind(&new.source_description)
    .bind(&new.source_checksum)
    .bind(git_ref)
    .bind(git_old)
    .bind(git_new.or_else(|| new.commit.clone()))
    .bind(new.now)
    .bind(&new.buildpacks_sealed)
    .bind(&new.source_sealed)
    .bind(&new.wait)
    .execute(db)
    .await?;
    Ok(())
}

/// The build with this id.
pub async fn build_info(db: impl PgExecutor<'_>, id: BuildId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(select(WHOLE, "where b.id = $1")).bind(id).fetch_optional(db).await
}

/// The build of an app with this number.
pub async fn build_at(db: impl PgExecutor<'_>, app: AppId, number: i32) -> sqlx::Result<Option<Row>> {
    let one = select(WHOLE, "where b.app_id = $1 and b.number = $2");
    sqlx::query_as(one).bind(app).bind(number).fetch_optional(db).await
}

/// The status of a build; `None` if there is none with this id.
pub async fn build_status(db: impl PgExecutor<'_>, id: BuildId) -> sqlx::Result<Option<BuildStatus>> {
    let found = sqlx::query_scalar("select status from builds where id = $1").bind(id).fetch_optional(db).await?;
    Ok(found.map(|Text(status)| status))
}

/// The newest build of an app that resulted in this slug.
pub async fn build_of_slug(db: impl PgExecutor<'_>, app: AppId, slug: SlugId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(select(WHOLE, "where b.app_id = $1 and b.slug_id = $2 order by b.number desc limit 1"))
        .bind(app)
        .bind(slug)
        .fetch_optional(db)
        .await
}

/// The builds of an app.
pub async fn build_list(db: impl PgExecutor<'_>, app: AppId, range: &Range) -> sqlx::Result<Page<Row>> {
    range.fetch(db, sqlx::query(select(LINE, "where b.app_id = $1")).bind(app)).await
}

/// The newest builds of an app, newest first.
pub async fn build_newest(db: impl PgExecutor<'_>, app: AppId, most: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(select(LINE, "where b.app_id = $1 order by b.number desc limit $2"))
        .bind(app)
        .bind(most)
        .fetch_all(db)
        .await
}

/// An unfinished build.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Pending {
    pub id: BuildId,
    pub app_id: AppId,
    pub number: i32,
    pub started_at: Option<DateTime<Utc>>,
}

/// The oldest unfinished build of each of these apps.
pub async fn build_pending(db: impl PgExecutor<'_>, apps: &[AppId]) -> sqlx::Result<Vec<Pending>> {
    sqlx::query_as(
        "select distinct on (app_id) id, app_id, number, started_at from builds
         where status = 'pending' and app_id = any($1) order by app_id, number",
    )
    .bind(apps)
    .fetch_all(db)
    .await
}

/// The unfinished builds of an app.
pub async fn build_pending_ids(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Vec<BuildId>> {
    sqlx::query_scalar("select id from builds where status = 'pending' and app_id = $1").bind(app).fetch_all(db).await
}

/// An unfinished build of a push.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct BuildOfBranch {
    /// Its number.
    pub number: i32,
    /// Who pushed.
    pub email: String,
    /// The commit.
    pub commit: String,
    /// The version of its release, if it only waits for that.
    pub version: Option<i32>,
}

/// The oldest unfinished build of a push to `branch`.
pub async fn build_of_branch(db: impl PgExecutor<'_>, app: AppId, branch: &str) -> sqlx::Result<Option<BuildOfBranch>> {
    sqlx::query_as(
        "select b.number, u.email, b.git_new as commit, r.version
         from builds b join accounts u on u.id = b.account_id left join releases r on r.id = b.release_id
         where b.status = 'pending' and b.app_id = $1 and b.git_ref = $2 order by b.number limit 1",
    )
    .bind(app)
    .bind(branch)
    .fetch_optional(db)
    .await
}

/// The builds of these apps that only wait for their release to stay up or fail: app, number, and version of the release.
pub async fn build_rolling_out(db: impl PgExecutor<'_>, apps: &[AppId]) -> sqlx::Result<Vec<(AppId, i32, i32)>> {
    sqlx::query_as(
        "select b.app_id, b.number, r.version from builds b join releases r on r.id = b.release_id
         where b.status = 'pending' and b.app_id = any($1) order by b.app_id, b.number",
    )
    .bind(apps)
    .fetch_all(db)
    .await
}

/// The waiting builds, with their apps and queue positions; limited to the first ones.
pub async fn build_waiting(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<(BuildId, AppId, i64)>> {
    let waiting = sqlx::AssertSqlSafe(format!(
        "select b.id, b.app_id, q.position from ({}) q join builds b on b.id = q.id
         where b.cancelled_at is null order by q.position limit 200",
        BUILDS.waiting()
    ));
    sqlx::query_as(waiting).fetch_all(db).await
}

/// Records the slug of a build.
pub async fn build_slug(db: impl PgExecutor<'_>, id: BuildId, slug: SlugId) -> sqlx::Result<()> {
    sqlx::query("update builds set slug_id = $2 where id = $1").bind(id).bind(slug).execute(db).await?;
    Ok(())
}

/// Marks a build as succeeded. Returns `false` if it was already finished.
pub async fn build_succeed(
    db: impl PgExecutor<'_>,
    id: BuildId,
    release: ReleaseId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update builds set status = 'succeeded', release_id = $2, updated_at = $3 where id = $1 and status = 'pending'",
    )
    .bind(id)
    .bind(release)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Marks a build as failed. Returns `false` if it was already finished.
pub async fn build_fail(db: impl PgExecutor<'_>, id: BuildId, error: &str, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update builds set status = 'failed', error = $2, updated_at = $3 where id = $1 and status = 'pending'",
    )
    .bind(id)
    .bind(error)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Requests cancellation of a build. Returns `false` if it has a release already, is finished, or was cancelled
/// before.
pub async fn build_cancel(db: impl PgExecutor<'_>, id: BuildId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update builds set cancelled_at = $2
         where id = $1 and status = 'pending' and release_id is null and cancelled_at is null",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Records the release that a build is about to create: from then on it can no longer be cancelled. Returns
/// `false` if it was cancelled before.
pub async fn build_releases(db: impl PgExecutor<'_>, id: BuildId, release: ReleaseId) -> sqlx::Result<bool> {
    let moved =
        sqlx::query("update builds set release_id = $2 where id = $1 and status = 'pending' and cancelled_at is null")
            .bind(id)
            .bind(release)
            .execute(db)
            .await?;
    Ok(moved.rows_affected() == 1)
}

/// The unfinished builds whose release is not expected to come up any more, because it has come up, failed or been
/// replaced, and those whose release is being watched (`true`).
pub async fn build_released(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<(BuildId, bool)>> {
    sqlx::query_as(
        "select b.id, r.rollout = 'watching' from builds b join releases r on r.id = b.release_id
         where b.status = 'pending' and r.status <> 'pending' and r.rollout <> 'waiting'",
    )
    .fetch_all(db)
    .await
}

/// Deletes the oldest builds of each app that have ended: all but the newest `kept`. Returns how many.
pub async fn build_sweep(db: impl PgExecutor<'_>, kept: i64) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        "delete from builds b
         using (select app_id, max(number) - $1::bigint as last from builds group by app_id having count(*) > $1) m
         where b.app_id = m.app_id and b.number <= m.last and b.status <> 'pending'",
    )
    .bind(kept)
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
