//! Rollouts of releases: whether they have come up and stayed up, and for how long they have been up.

use api::ids::{AppId, ReleaseId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// A process type of the release that runs until the current one has passed.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct BaseType {
    pub release_id: ReleaseId,
    #[sqlx(rename = "type")]
    pub kind: String,
    pub command: String,
    pub quantity: i32,
    pub size: String,
}

/// The process types of these releases, with the quantities and sizes of their app's formation, or those that the app had
/// last for types that are not in it any more.
pub async fn rollout_types(db: impl PgExecutor<'_>, releases: &[ReleaseId]) -> sqlx::Result<Vec<BaseType>> {
    sqlx::query_as(
        "select r.id as release_id, t.key as type, t.value as command,
                coalesce(f.quantity, o.quantity, 0) as quantity, coalesce(f.size, o.size, 'Standard-1X') as size
         from releases r join slugs s on s.id = r.slug_id cross join lateral jsonb_each_text(s.process_types) t
         left join formation f on f.app_id = r.app_id and f.type = t.key
         left join former_formation o on o.app_id = r.app_id and o.type = t.key
         where r.id = any($1) and t.key <> 'release' order by r.id, t.key",
    )
    .bind(releases)
    .fetch_all(db)
    .await
}

/// Records that the dynos of a release are up, and that the watch period has begun.
pub async fn rollout_watch(db: impl PgExecutor<'_>, id: ReleaseId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update releases set rollout = 'watching', updated_at = $2 where id = $1 and rollout = 'waiting'")
        .bind(id)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Records that a release has stayed up, or that it has no web dynos that could. Also of one that has failed before and
/// still runs, because there is no other. Returns `false` if it was replaced meanwhile.
pub async fn rollout_pass(db: impl PgExecutor<'_>, id: ReleaseId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update releases set rollout = 'passed', failed_dyno = null, error = null, updated_at = $2
         where id = $1 and status = 'succeeded' and rollout in ('waiting', 'watching', 'failed')",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Why a release does not stay up.
#[derive(Clone, Copy, Debug)]
pub struct Fall<'a> {
    /// `web.1`
    pub dyno: &'a str,
    /// How it ended.
    pub why: &'a str,
    /// Whether the release fails, because another one serves again. Otherwise it remains the current one.
    pub is_replaced: bool,
}

/// Records that a release does not stay up. Returns `false` if that was decided otherwise meanwhile. Lock the app first
/// if it is replaced.
pub async fn rollout_fail(
    db: impl PgExecutor<'_>,
    id: ReleaseId,
    fall: Fall<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update releases set rollout = 'failed', failed_dyno = $2, error = $3, updated_at = $5,
                status = case when $4 then 'failed' else status end
         where id = $1 and status = 'succeeded' and rollout in ('waiting', 'watching')",
    )
    .bind(id)
    .bind(fall.dyno)
    .bind(fall.why)
    .bind(fall.is_replaced)
    .bind(now)
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Ends the rollout of the releases of an app that a newer one has replaced. Lock the app first.
pub async fn rollout_supersede(db: impl PgExecutor<'_>, app: AppId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update releases set rollout = 'superseded', updated_at = $2
         where app_id = $1 and status = 'succeeded' and rollout in ('waiting', 'watching')
             and version < (select max(version) from releases
                            where app_id = $1 and status = 'succeeded' and rollout <> 'superseded')",
    )
    .bind(app)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The releases that were up when this was last recorded.
pub async fn rollout_up_all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<ReleaseId>> {
    sqlx::query_scalar("select id from releases where up_since is not null").fetch_all(db).await
}

/// Records which releases have come up, and which are not up any more. Returns the apps of those for which that is new.
pub async fn rollout_note_up(
    db: &mut PgConnection,
    up: &[ReleaseId],
    down: &[ReleaseId],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<AppId>> {
    let mut apps: Vec<AppId> = sqlx::query_scalar(
        "update releases set up_since = $2, up_at = coalesce(up_at, $2) where id = any($1) and up_since is null
         returning app_id",
    )
    .bind(up)
    .bind(now)
    .fetch_all(&mut *db)
    .await?;
    let ended: Vec<AppId> = sqlx::query_scalar(
        "update releases set up_since = null,
                up_seconds = up_seconds + greatest(0, extract(epoch from $2::timestamptz - up_since)::bigint)
         where id = any($1) and up_since is not null returning app_id",
    )
    .bind(down)
    .bind(now)
    .fetch_all(db)
    .await?;
    apps.extend(ended);
    Ok(apps)
}
