//! The queue: leasing the next job, and recording the outcome.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::ids::{JobId, LeaseId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::{Failure, Leases, job::notify, leases::LeaseGuard, progress::shortened};

/// A job during which the server has died more often than this is not run again. With each crash, fewer other suspects
/// run concurrently, and finally none, so that a harmless job does not reach this number.
pub(crate) const MOST_CRASHES: i32 = 5;
/// If the server has died this often, even while the job was being failed, the job is left alone.
const MOST_LAST_CRASHES: i32 = MOST_CRASHES + 2;
/// The pause before the database is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// A job that this process runs.
#[derive(sqlx::FromRow)]
pub(crate) struct Leased {
    pub id: JobId,
    pub kind: String,
    pub params: serde_json::Value,
    pub attempt: i32,
    pub crashes: i32,
    pub lease: LeaseId,
    /// Whether it was cancelled before it was leased.
    pub cancelled: bool,
}

/// Releases jobs whose lease has expired. They may have caused the crash of their server: from the second time on, such
/// a job waits, longer each time, so that others can finish in between. Jobs that this process `held` are still
/// running.
async fn release_expired(db: &mut PgConnection, held: &[JobId]) -> sqlx::Result<()> {
    sqlx::query(
        "update jobs set state = case when crashes < $1 then 'pending' else 'failed' end, crashes = crashes + 1,
                lease = null, lease_until = null, error = 'the server ended while it ran', updated_at = now(),
                finished_at = case when crashes < $1 then null else now() end,
                run_at = case when crashes = 0 then run_at else now() + make_interval(secs => power(2, crashes)) end
         where state = 'running' and lease_until <= now() and id <> all($2)",
    )
    .bind(MOST_LAST_CRASHES)
    .bind(held)
    .execute(db)
    .await?;
    Ok(())
}

/// Leases the job that has been due for longest. Jobs during which the server has died are suspects, and few of them
/// run at once: 8 of those with one death, then 4, 2, and finally 1. So each crash halves the number of candidates, and
/// a slow job does not block others.
pub(crate) async fn lease_next(pool: &PgPool, kinds: &[&str], leases: &Leases) -> anyhow::Result<Next> {
    let mut tx = pool.begin().await.context("lease the next job")?;
    // One at a time, or two could both count the suspects before either adds one. If this process does not continue,
    // because its runtime is blocked, the transaction times out like its leases; otherwise no other server could lease
    // a job.
    sqlx::query("select set_config('idle_in_transaction_session_timeout', $1, true), pg_advisory_xact_lock(7305)")
        .bind(format!("{}ms", leases.duration().as_millis()))
        .execute(&mut *tx)
        .await
        .context("wait to lease a job")?;
    let held = leases.jobs();
    release_expired(&mut tx, &held).await.context("release jobs with expired leases")?;
    let since = Instant::now();
    let job: Option<Leased> = sqlx::query_as(
        "with suspects as (select count(*) as running, coalesce(max(crashes), 0) as crashes from jobs
                           where state = 'running' and crashes > 0)
         update jobs set state = 'running', attempt = attempt + 1, waits_for = null, woken = false,
                started_at = coalesce(started_at, now()), updated_at = now(),
                lease = gen_random_uuid(), lease_until = now() + make_interval(secs => $2), server_id = $4
         where id = (
             select j.id from jobs j, suspects s
             where j.kind = any($1) and j.state = 'pending' and j.run_at <= now()
               and j.id <> all($3) and (j.crashes = 0 or s.running < greatest(1, 16 >> greatest(s.crashes, j.crashes)))
             order by j.run_at limit 1 for update of j skip locked)
         returning id, kind, params, attempt, crashes, lease, cancel_requested_at is not null as cancelled",
    )
    .bind(kinds)
    .bind(leases.duration().as_secs_f64())
    .bind(held)
    .bind(leases.server())
    .fetch_optional(&mut *tx)
    .await
    .context("lease the next job")?;
    let next = match job {
        // Before the lease is visible to others, so that it is renewed from its beginning.
        Some(job) => {
            let hold = leases.hold(job.id, job.lease, since);
            Next::Leased(job, hold)
        }
        None => Next::Due(next_due(&mut tx, kinds).await.context("read when the next job is due")?),
    };
    tx.commit().await.context("lease the next job")?;
    Ok(next)
}

/// The result of [`lease_next`].
pub(crate) enum Next {
    Leased(Leased, LeaseGuard),
    /// Nothing is due for this long.
    Due(Duration),
}

/// How long there is nothing to lease for jobs of these kinds; zero if there may be something, such as an expired lease
/// of any kind.
pub(crate) async fn look(pool: &PgPool, kinds: &[&str]) -> anyhow::Result<Duration> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from least(
             (select min(run_at) from jobs where kind = any($1) and state = 'pending'),
             (select min(lease_until) from jobs where state = 'running')) - now())::float8",
    )
    .bind(kinds)
    .fetch_one(pool)
    .await
    .context("look for due jobs")?;
    Ok(seconds.map_or(Duration::MAX, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// The time until the next job of these kinds is due.
async fn next_due(db: &mut PgConnection, kinds: &[&str]) -> sqlx::Result<Duration> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from min(run_at) - now())::float8 from jobs
         where kind = any($1) and state = 'pending' and run_at > now()",
    )
    .bind(kinds)
    .fetch_one(db)
    .await?;
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(Duration::MAX))
}

/// Releases the lease of a stopped job, as soon as the database responds, without counting an attempt. Does nothing if
/// somebody else has leased the job meanwhile.
pub(crate) async fn release(pool: &PgPool, job: &Leased) {
    let release = "update jobs set state = 'pending', lease = null, lease_until = null, updated_at = now()
                  where id = $1 and lease = $2";
    while sqlx::query(release).bind(job.id).bind(job.lease).execute(pool).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Records the outcome of a run. Does nothing if somebody else has leased the job meanwhile.
pub(crate) async fn settle(pool: &PgPool, job: &Leased, outcome: Result<(), Failure>) -> anyhow::Result<()> {
    let (state, error) = match outcome {
        Ok(()) => ("succeeded", None),
        Err(Failure::Retry(err)) => ("pending", Some(format!("{err:#}"))),
        Err(Failure::Final(err)) => ("failed", Some(format!("{err:#}"))),
        Err(Failure::Interrupted | Failure::Wait { .. }) => return Ok(()),
    };
    let backoff = f64::from(2_i32.saturating_pow((job.attempt - job.crashes).clamp(0, 8) as u32));
    sqlx::query(
        "update jobs set state = $3, error = $4, lease = null, lease_until = null, updated_at = now(),
                run_at = case when $3 = 'pending' then now() + make_interval(secs => $5) else run_at end,
                finished_at = case when $3 = 'pending' then null else now() end
         where id = $1 and lease = $2",
    )
    .bind(job.id)
    .bind(job.lease)
    .bind(state)
    .bind(error)
    .bind(backoff)
    .execute(pool)
    .await
    .context("settle the job")?;
    Ok(())
}

/// Requeues a job until `until`, without counting an attempt. If it was woken or cancelled since it was leased, it is
/// due immediately.
pub(crate) async fn settle_waiting(
    pool: &PgPool,
    job: &Leased,
    until: DateTime<Utc>,
    what: &str,
) -> anyhow::Result<()> {
    let kind: Option<String> = sqlx::query_scalar(
        "update jobs set state = 'pending', error = null, lease = null, lease_until = null, updated_at = now(),
                attempt = attempt - 1, waits_for = $4,
                run_at = case when woken or cancel_requested_at is not null then now() else $3 end
         where id = $1 and lease = $2 returning kind",
    )
    .bind(job.id)
    .bind(job.lease)
    .bind(until)
    .bind(shortened(what).unwrap_or_else(|| "its time".to_owned()))
    .fetch_optional(pool)
    .await
    .context("requeue the job")?;
    // Idle workers recompute when the next job is due.
    if kind.is_some() {
        let mut db = pool.acquire().await.context("publish when the job is due")?;
        notify(&mut db, &job.kind).await.context("publish when the job is due")?;
    }
    Ok(())
}

/// Ends a job that was cancelled and has cleaned up.
pub(crate) async fn settle_cancelled(pool: &PgPool, job: &Leased) -> anyhow::Result<()> {
    sqlx::query(
        "update jobs set state = 'cancelled', error = null, lease = null, lease_until = null, updated_at = now(),
                finished_at = now()
         where id = $1 and lease = $2",
    )
    .bind(job.id)
    .bind(job.lease)
    .execute(pool)
    .await
    .context("settle the cancelled job")?;
    Ok(())
}
