//! Releases: rows and queries.

use api::{
    ids::{AccountId, AppId, ConfigSetId, ReleaseId, SlugId},
    releases::{ReleaseStatus, Rollout},
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, Kind, List, Order, Page, Range},
    text::Text,
};

/// The sort orders of an app's releases.
pub static LIST: List = List::by(&[Order::unique("version", Kind::Number, "t.version"), BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `releases`, with the address of its creator.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: ReleaseId,
    pub app_id: AppId,
    pub version: i32,
    #[sqlx(try_from = "Text<ReleaseStatus>")]
    pub status: ReleaseStatus,
    pub description: String,
    pub account_id: AccountId,
    pub email: String,
    pub slug_id: Option<SlugId>,
    /// Its set of config vars.
    pub config_id: ConfigSetId,
    pub has_output: bool,
    pub commit: Option<String>,
    /// Why it failed, or why its release phase is to end early.
    pub error: Option<String>,
    /// When its release phase was to end early.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When its release phase got a slot.
    pub started_at: Option<DateTime<Utc>>,
    #[sqlx(try_from = "Text<Rollout>")]
    pub rollout: Rollout,
    /// The watch period.
    pub watch_seconds: i32,
    /// The dyno that did not stay up; `error` says how it ended.
    pub failed_dyno: Option<String>,
    /// When it was first up.
    pub up_at: Option<DateTime<Utc>>,
    /// Since when it is up, if it is.
    pub up_since: Option<DateTime<Utc>>,
    /// How long it was up before that, in seconds.
    pub up_seconds: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

const SELECT: &str = "select r.id, r.app_id, r.version, r.status, left(r.description, 1000) as description,
        r.account_id, u.email, r.slug_id, r.config_id, r.has_output, r.commit, r.error, r.cancelled_at,
        r.started_at, r.rollout, r.watch_seconds, r.failed_dyno, r.up_at, r.up_since, r.up_seconds, r.created_at,
        r.updated_at
    from releases r join accounts u on u.id = r.account_id ";

/// The fields of a new release; its version is assigned here.
#[derive(Debug)]
pub struct New<'a> {
    pub id: ReleaseId,
    pub app: AppId,
    pub status: ReleaseStatus,
    pub description: &'a str,
    pub account: AccountId,
    pub slug: Option<SlugId>,
    /// Its set of config vars, which is one of the app's.
    pub config: ConfigSetId,
    pub commit: Option<&'a str>,
    /// The watch period in seconds, if it is not the app's.
    pub watch: Option<i32>,
    pub now: DateTime<Utc>,
}

/// Inserts a release with the next version, which it returns. Lock the app first. An existing release is
/// unchanged. One without code has nothing to roll out.
pub async fn release_create(db: &mut PgConnection, new: &New<'_>) -> sqlx::Result<i32> {
    sqlx::query(
        "insert into releases (id, app_id, version, status, description, account_id, slug_id, config_id,
                               commit, created_at, updated_at, watch_seconds, rollout)
         select $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $9,
                coalesce($10, (select watch_seconds from apps where id = $2)),
                case when $6::uuid is null then 'passed' else 'waiting' end
         from releases where app_id = $2 on conflict (id) do nothing",
    )
    .bind(new.id)
    .bind(new.app)
    .bind(Text(new.status))
    .bind(new.description)
    .bind(new.account)
    .bind(new.slug)
    .bind(new.config)
    .bind(new.commit)
    .bind(new.now)
    .bind(new.watch)
    .execute(&mut *db)
    .await?;
    sqlx::query_scalar("select version from releases where id = $1").bind(new.id).fetch_one(db).await
}

/// The release with this id.
pub async fn release_info(db: impl PgExecutor<'_>, id: ReleaseId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where r.id = $1"))).bind(id).fetch_optional(db).await
}

/// The release of an app with this version.
pub async fn release_at(db: impl PgExecutor<'_>, app: AppId, version: i32) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where r.app_id = $1 and r.version = $2")))
        .bind(app)
        .bind(version)
        .fetch_optional(db)
        .await
}

/// The releases of an app.
pub async fn release_list(db: impl PgExecutor<'_>, app: AppId, range: &Range) -> sqlx::Result<Page<Row>> {
    let list = sqlx::AssertSqlSafe(format!("{SELECT} where r.app_id = $1"));
    range.fetch(db, sqlx::query(list).bind(app)).await
}

/// The status of a release; `None` if there is none with this id.
pub async fn release_status(db: impl PgExecutor<'_>, id: ReleaseId) -> sqlx::Result<Option<ReleaseStatus>> {
    let found = sqlx::query_scalar("select status from releases where id = $1").bind(id).fetch_optional(db).await?;
    Ok(found.map(|Text(status)| status))
}

/// Whether an app was ever released with this slug.
pub async fn release_has_slug(db: impl PgExecutor<'_>, app: AppId, slug: SlugId) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select 1 from releases where app_id = $1 and slug_id = $2)")
        .bind(app)
        .bind(slug)
        .fetch_one(db)
        .await
}

/// The newest releases of an app, newest first.
pub async fn release_newest(db: impl PgExecutor<'_>, app: AppId, most: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where r.app_id = $1 order by r.version desc limit $2")))
        .bind(app)
        .bind(most)
        .fetch_all(db)
        .await
}

/// The current release: the newest that succeeded and was not replaced before it was up.
pub async fn release_current(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where r.app_id = $1 and r.status = 'succeeded' and r.rollout <> 'superseded'
         order by r.version desc limit 1"
    )))
    .bind(app)
    .fetch_optional(db)
    .await
}

/// The current release of an app.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Current {
    pub id: ReleaseId,
    pub app_id: AppId,
    pub version: i32,
    pub slug_id: Option<SlugId>,
    #[sqlx(try_from = "Text<Rollout>")]
    pub rollout: Rollout,
    pub watch_seconds: i32,
    /// While its dynos are not up: when it became the current one.
    pub updated_at: DateTime<Utc>,
    /// The release before, which runs until this one has been up for its watch period; only while that is open, and if
    /// it has code.
    pub base_id: Option<ReleaseId>,
    pub base_version: Option<i32>,
    pub base_slug_id: Option<SlugId>,
}

/// The current release of each of these apps, or of all, and the one that it is to replace.
pub async fn release_current_all(db: impl PgExecutor<'_>, only: Option<&[AppId]>) -> sqlx::Result<Vec<Current>> {
    sqlx::query_as(
        "select c.*, b.id as base_id, b.version as base_version, b.slug_id as base_slug_id
         from apps a cross join lateral (
             select r.id, r.app_id, r.version, r.slug_id, r.rollout, r.watch_seconds, r.updated_at from releases r
             where r.app_id = a.id and r.status = 'succeeded' and r.rollout <> 'superseded'
             order by r.version desc limit 1) c
         left join lateral (
             select r.id, r.version, r.slug_id from releases r
             where c.rollout in ('waiting', 'watching') and r.app_id = a.id and r.status = 'succeeded'
                 and r.rollout = 'passed' and r.version < c.version
             order by r.version desc limit 1) b on b.slug_id is not null
         where a.deleted_at is null and ($1::uuid[] is null or a.id = any($1))",
    )
    .bind(only)
    .fetch_all(db)
    .await
}

/// The first release of an app after `version` with this slug that was not replaced before it was up, in any status.
pub async fn release_successor(
    db: impl PgExecutor<'_>,
    app: AppId,
    version: i32,
    slug: SlugId,
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where r.app_id = $1 and r.version > $2 and r.slug_id = $3 and r.rollout <> 'superseded'
         order by r.version limit 1"
    )))
    .bind(app)
    .bind(version)
    .bind(slug)
    .fetch_optional(db)
    .await
}

/// The release fields in the list of apps.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Summary {
    pub app_id: AppId,
    pub version: i32,
    #[sqlx(try_from = "Text<ReleaseStatus>")]
    pub status: ReleaseStatus,
    pub description: String,
    pub email: String,
    pub created_at: DateTime<Utc>,
    /// The dyno that did not stay up.
    pub failed_dyno: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The first line of the commit message.
    pub message: Option<String>,
}

/// The newest release of each of these apps, in any status.
pub async fn release_newest_of(db: impl PgExecutor<'_>, apps: &[AppId]) -> sqlx::Result<Vec<Summary>> {
    sqlx::query_as(
        "select n.*, u.email,
                (select nullif(split_part(left(b.source_description, 200), E'\\n', 1), '') from builds b
                 where b.release_id = n.id limit 1) as message
         from unnest($1) a(id) cross join lateral (
             select r.id, r.app_id, r.version, r.status, left(r.description, 200) as description, r.account_id,
                    r.created_at, r.failed_dyno, r.error
             from releases r where r.app_id = a.id order by r.version desc limit 1) n
         join accounts u on u.id = n.account_id",
    )
    .bind(apps)
    .fetch_all(db)
    .await
}

/// The slug of an app's newest release, including a pending one, that has neither failed nor been replaced before it was
/// up.
pub async fn release_newest_slug(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Option<SlugId>> {
    sqlx::query_scalar(
        "select slug_id from releases
         where app_id = $1 and status in ('succeeded', 'pending') and rollout <> 'superseded'
         order by version desc limit 1",
    )
    .bind(app)
    .fetch_optional(db)
    .await
    .map(Option::flatten)
}

/// How a release ended.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct End {
    pub succeeded: bool,
    pub cancelled: bool,
    /// Why it failed.
    pub error: Option<String>,
}

/// Ends a pending release: it has succeeded if there is no `error` and it was not cancelled. `None` if it was not
/// pending.
pub async fn release_end(
    db: impl PgExecutor<'_>,
    id: ReleaseId,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<End>> {
    sqlx::query_as(
        "update releases set
             status = case when $2::text is null and cancelled_at is null then 'succeeded' else 'failed' end,
             error = case when cancelled_at is null then $2 else coalesce(error, $2, 'cancelled') end,
             rollout = case when $2::text is null and cancelled_at is null then rollout else 'failed' end,
             updated_at = $3
         where id = $1 and status = 'pending'
         returning status = 'succeeded' as succeeded, cancelled_at is not null as cancelled, error",
    )
    .bind(id)
    .bind(error)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Records that a release phase has output.
pub async fn release_has_output(db: impl PgExecutor<'_>, id: ReleaseId) -> sqlx::Result<()> {
    sqlx::query("update releases set has_output = true where id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// The number of an app's releases whose release phase is running or waiting.
pub async fn release_pending_count(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from releases where app_id = $1 and status = 'pending'")
        .bind(app)
        .fetch_one(db)
        .await
}

/// Requests cancellation of a release phase, and records why. Returns `false` if it has ended or was cancelled before.
pub async fn release_cancel(
    db: impl PgExecutor<'_>,
    id: ReleaseId,
    why: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update releases set cancelled_at = $3, error = $2
         where id = $1 and status = 'pending' and cancelled_at is null",
    )
    .bind(id)
    .bind(why)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Requests cancellation of all running and waiting release phases of an app.
pub async fn release_cancel_all(db: impl PgExecutor<'_>, app: AppId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update releases set cancelled_at = coalesce(cancelled_at, $2) where app_id = $1 and status = 'pending'",
    )
    .bind(app)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The app, the slug and the set of config vars of a release that was deleted.
type Gone = (AppId, Option<SlugId>, ConfigSetId);

/// Deletes the oldest releases of each app, with what only they had: slugs and sets of config vars. The newest `kept`
/// stay, and so do the current one, the one before that was up, those that have not ended, and those of dynos. Locks their apps. Returns how many were
/// deleted.
pub async fn release_sweep(db: &mut PgConnection, kept: i64) -> sqlx::Result<u64> {
    let many: Vec<AppId> = sqlx::query_scalar("select app_id from releases group by app_id having count(*) > $1")
        .bind(kept)
        .fetch_all(&mut *db)
        .await?;
    if many.is_empty() {
        return Ok(0);
    }
    let lock = "select 1 from apps where id = any($1) order by id for update";
    sqlx::query(lock).bind(&many).execute(&mut *db).await?;
    let gone: Vec<Gone> = sqlx::query_as(
        "with ends as (select app_id, max(version) as newest,
                              max(version) filter (where status = 'succeeded' and rollout <> 'superseded') as live,
                              max(version) filter (where status = 'succeeded' and rollout = 'passed') as good
                       from releases where app_id = any($2) group by app_id)
         delete from releases r using ends e
         where r.app_id = e.app_id and r.version <= e.newest - $1::bigint and r.version is distinct from e.live
             and r.version is distinct from e.good
             and r.status <> 'pending' and not exists (select 1 from dynos d where d.release_id = r.id)
             and not exists (select 1 from one_offs o where o.release_id = r.id and o.ended_at is null)
         returning r.app_id, r.slug_id, r.config_id",
    )
    .bind(kept)
    .bind(&many)
    .fetch_all(&mut *db)
    .await?;
    if gone.is_empty() {
        return Ok(0);
    }
    forget(db, &gone).await?;
    let apps: Vec<AppId> = gone.iter().map(|(app, ..)| *app).collect();
    add_up(db, &apps).await?;
    Ok(gone.len() as u64)
}

/// Deletes the slugs and sets of config vars that only these releases referred to, by app.
async fn forget(db: &mut PgConnection, gone: &[Gone]) -> sqlx::Result<()> {
    let slugs: Vec<SlugId> = gone.iter().filter_map(|(_, slug, _)| *slug).collect();
    let (apps, configs): (Vec<AppId>, Vec<ConfigSetId>) = gone.iter().map(|(app, _, config)| (*app, *config)).unzip();
    sqlx::query(
        "delete from slugs s where s.id = any($1)
             and not exists (select 1 from releases r where r.app_id = s.app_id and r.slug_id = s.id)",
    )
    .bind(slugs)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "delete from configs c using unnest($1::uuid[], $2::uuid[]) g(app_id, id)
         where c.app_id = g.app_id and c.id = g.id
             and not exists (select 1 from releases r where r.app_id = c.app_id and r.config_id = c.id)
             and not exists (select 1 from apps a where a.id = c.app_id and a.config_id = c.id)",
    )
    .bind(apps)
    .bind(configs)
    .execute(db)
    .await?;
    Ok(())
}

/// Recomputes the running totals of these apps' releases, as the trigger `total_of_releases` does for a new one.
async fn add_up(db: &mut PgConnection, apps: &[AppId]) -> sqlx::Result<()> {
    sqlx::query(
        "with parts as (
             select r.id, r.app_id, r.version, case
                        when row_number() over (partition by r.app_id, r.config_id order by r.version) = 1
                        then octet_length(c.sealed) else 0 end + case
                        when row_number() over (partition by r.app_id, r.slug_id order by r.version) = 1
                        then coalesce(s.size, 0) else 0 end as bytes
             from releases r join configs c on c.id = r.config_id left join slugs s on s.id = r.slug_id
             where r.app_id = any($1)
         ), totals as (
             select id, sum(bytes) over (partition by app_id order by version) as total from parts
         )
         update releases r set total_bytes = t.total from totals t where t.id = r.id and r.total_bytes <> t.total",
    )
    .bind(apps)
    .execute(db)
    .await?;
    Ok(())
}
