//! Slugs: rows and queries.

use std::collections::BTreeMap;

use api::ids::{AccountId, AppId, ReleaseId, SlugId};
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};

use crate::payers::OF_APPS;

/// A row of `slugs`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: SlugId,
    pub app_id: AppId,
    /// `SHA256:<hex>`; `None` until the archive is uploaded.
    pub checksum: Option<String>,
    pub size: Option<i64>,
    pub process_types: Json<BTreeMap<String, String>>,
    pub buildpack_description: Option<String>,
    pub commit: Option<String>,
    pub commit_description: Option<String>,
    pub stack: String,
    /// The error of the last attempt to unpack its archive.
    pub fault: Option<String>,
    /// The archive itself is invalid: no further attempts.
    pub refused: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Inserts a slug; inserting the same one again changes nothing.
pub async fn slug_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into slugs (id, app_id, checksum, size, process_types, buildpack_description, commit,
                            commit_description, stack, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (id) do nothing",
    )
    .bind(row.id)
    .bind(row.app_id)
    .bind(&row.checksum)
    .bind(row.size)
    .bind(&row.process_types)
    .bind(&row.buildpack_description)
    .bind(&row.commit)
    .bind(&row.commit_description)
    .bind(&row.stack)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The slug with this id.
pub async fn slug_info(db: impl PgExecutor<'_>, id: SlugId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from slugs where id = $1").bind(id).fetch_optional(db).await
}

/// Records that a slug's archive was uploaded. `false` if it already had one.
pub async fn slug_uploaded(
    db: impl PgExecutor<'_>,
    id: SlugId,
    checksum: &str,
    size: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done =
        sqlx::query("update slugs set checksum = $2, size = $3, updated_at = $4 where id = $1 and checksum is null")
            .bind(id)
            .bind(checksum)
            .bind(size)
            .bind(now)
            .execute(db)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// The archives among these that no slug refers to.
pub async fn slug_checksums_unnamed(db: impl PgExecutor<'_>, checksums: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select c.checksum from unnest($1::text[]) c(checksum)
         where not exists (select 1 from slugs s where s.checksum = c.checksum)",
    )
    .bind(checksums)
    .fetch_all(db)
    .await
}

/// Whether a slug of any app except `except` has this archive.
pub async fn slug_checksum_is_named(
    db: impl PgExecutor<'_>,
    checksum: &str,
    except: Option<AppId>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select 1 from slugs where checksum = $1 and app_id is distinct from $2)")
        .bind(checksum)
        .bind(except)
        .fetch_one(db)
        .await
}

/// Prevents the removal of the archive with this checksum until the end of the transaction.
pub async fn slug_archive_hold(db: impl PgExecutor<'_>, checksum: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock_shared(7311, hashtext($1))").bind(checksum).execute(db).await?;
    Ok(())
}

/// Locks the archive with this checksum exclusively until the end of the transaction; `false` if somebody holds
/// it, or while a backup is made, which needs all that the database names.
pub async fn slug_archive_take(db: impl PgExecutor<'_>, checksum: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select pg_try_advisory_xact_lock_shared(7313, 0) and pg_try_advisory_xact_lock(7311, hashtext($1))",
    )
    .bind(checksum)
    .fetch_one(db)
    .await
}

/// Checksums of an app's archives that no other app uses.
pub async fn slug_checksums_of_app_alone(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct checksum from slugs s where app_id = $1 and checksum is not null
           and not exists (select 1 from slugs o where o.checksum = s.checksum and o.app_id <> $1)",
    )
    .bind(app)
    .fetch_all(db)
    .await
}

/// Deletes slugs without a release: those without an archive that were created before `empty`, and those with one that
/// were created before `unreleased`. A slug that is being uploaded stays, and so does one whose app has a pending
/// build, which may be about to release it. Returns how many were deleted.
pub async fn slug_sweep(db: impl PgExecutor<'_>, empty: DateTime<Utc>, unreleased: DateTime<Utc>) -> sqlx::Result<u64> {
    let gone = sqlx::query(
        "delete from slugs s where not s.released
             and (s.checksum is null and s.created_at < $1
                  or s.created_at < $2
                     and not exists (select 1 from builds b where b.app_id = s.app_id and b.status = 'pending'))
             and not exists (select 1 from releases r where r.slug_id = s.id)
             and not exists (select 1 from uploads u where u.id = s.id)",
    )
    .bind(empty)
    .bind(unreleased)
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}

/// Whether a slug exists, and its app is not being destroyed.
pub async fn slug_stays(db: impl PgExecutor<'_>, id: SlugId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from slugs s join apps a on a.id = s.app_id where s.id = $1 and a.deleted_at is null)",
    )
    .bind(id)
    .fetch_one(db)
    .await
}

/// The copy of a slug that another app has, if there is one.
pub async fn slug_copy(db: impl PgExecutor<'_>, slug: &Row, app: AppId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select * from slugs where app_id = $1 and checksum = $2 and process_types = $3 and stack = $4
             and commit is not distinct from $5 and buildpack_description is not distinct from $6 and not refused
         order by created_at limit 1",
    )
    .bind(app)
    .bind(&slug.checksum)
    .bind(&slug.process_types)
    .bind(&slug.stack)
    .bind(&slug.commit)
    .bind(&slug.buildpack_description)
    .fetch_optional(db)
    .await
}

/// Records why a slug could not be unpacked, and whether to retry; `None`: success.
pub async fn slug_fault(db: impl PgExecutor<'_>, id: SlugId, fault: Option<&str>, refused: bool) -> sqlx::Result<()> {
    sqlx::query(
        "update slugs set fault = $2, refused = $3 where id = $1 and (fault is distinct from $2 or refused <> $3)",
    )
    .bind(id)
    .bind(fault)
    .bind(refused)
    .execute(db)
    .await?;
    Ok(())
}

/// A slug of a release that is current, pending, or a likely rollback target.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Needed {
    pub release_id: ReleaseId,
    pub app_id: AppId,
    pub slug_id: SlugId,
    /// The payer of the app's background work.
    pub payer: AccountId,
    /// The release waits for its release phase, or is the current one of its app or the one that this replaces, and the
    /// app has dynos or is to have some.
    pub now: bool,
    /// A job is working on it.
    pub busy: bool,
    /// A job recently gave up on it, or it is permanently rejected.
    pub hopeless: bool,
}

/// The slugs of the newest `newest` releases of each app, of those waiting for their release phase, and of all
/// dynos. Slugs on which a job gave up before `since` are tried again.
pub async fn slug_needed_all(db: impl PgExecutor<'_>, newest: i64, since: DateTime<Utc>) -> sqlx::Result<Vec<Needed>> {
    let needed = format!(
        "with wanted as (
             select n.id, n.app_id, n.slug_id, (n.place = 1 or n.version is not distinct from n.good) and (
                 exists (select 1 from formation f where f.app_id = a.id and f.quantity > 0 and f.type <> 'release')
                 or exists (select 1 from dynos d where d.app_id = a.id)
                 or exists (select 1 from one_offs o where o.app_id = a.id and o.ended_at is null)) as now
             from apps a cross join lateral (
                 select r.*, row_number() over (order by r.version desc) as place,
                        max(r.version) filter (where r.rollout = 'passed') over () as good
                 from (select id, app_id, slug_id, version, rollout from releases
                       where app_id = a.id and status = 'succeeded' and rollout <> 'superseded'
                       order by version desc limit $1) r) n
             union all
             select id, app_id, slug_id, true from releases where status = 'pending'
             union all
             select r.id, r.app_id, r.slug_id, false from dynos d join releases r on r.id = d.release_id
             union all
             select r.id, r.app_id, r.slug_id, false
             from one_offs o join releases r on r.id = o.release_id where o.ended_at is null
         )
         select w.id as release_id, w.app_id, w.slug_id, c.payer, w.now,
                exists (select 1 from jobs j where j.kind = 'slugs.unpack' and j.subject = w.id
                        and j.state in ('pending', 'running')) as busy,
                s.refused or exists (select 1 from jobs j where j.kind = 'slugs.unpack' and j.subject = w.id
                        and j.state = 'failed' and j.finished_at > $2) as hopeless
         from wanted w join apps a on a.id = w.app_id join slugs s on s.id = w.slug_id
         join {OF_APPS} c on c.app_id = a.id
         where a.deleted_at is null and s.checksum is not null
         order by w.id"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(needed)).bind(newest).bind(since).fetch_all(db).await
}

/// Whether any dyno runs a release with this slug.
pub async fn slug_runs(db: impl PgExecutor<'_>, app: AppId, slug: SlugId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from dynos d join releases r on r.id = d.release_id
                        where d.app_id = $1 and r.slug_id = $2)
             or exists (select 1 from one_offs o join releases r on r.id = o.release_id
                        where o.app_id = $1 and r.slug_id = $2 and o.ended_at is null)",
    )
    .bind(app)
    .bind(slug)
    .fetch_one(db)
    .await
}
