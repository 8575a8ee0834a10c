//! The scheduler: enqueues the jobs of schedules when they are due.
//!
//! The row of a schedule contains when it is due next, and is locked while its job is enqueued and that time is
//! advanced: so each time is taken once, by whichever server sees it first, and their clocks need not agree. Times
//! missed while no server was running are made up for by a single job. A time at which the previous job is not finished
//! is skipped.

use std::time::Duration;

use anyhow::Context as _;
use api::ids::{JobId, ScheduleId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    job::{self, New},
    schedule::{Schedule, Times},
};

/// The maximum time between two checks: other servers write schedules, and clocks are adjusted.
const LONGEST: Duration = Duration::from_secs(30);
/// The minimum time between two checks.
const SHORTEST: Duration = Duration::from_millis(100);

/// Enqueues due jobs until it is dropped.
pub struct Scheduler {
    task: tokio::task::JoinHandle<()>,
}

impl Scheduler {
    /// Writes `schedules` to the database, runs those that also run at startup, and then each at its times.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start(pool: PgPool, schedules: &[Schedule]) -> anyhow::Result<Self> {
        write_schedules(&pool, schedules, Utc::now()).await.context("write the schedules")?;
        for schedule in schedules.iter().filter(|schedule| schedule.runs_at_start) {
            let mut tx = pool.begin().await.context("begin a schedule")?;
            enqueue_now(&mut tx, schedule.name)
                .await
                .with_context(|| format!("begin the schedule {}", schedule.name))?;
            tx.commit().await.context("begin a schedule")?;
        }
        Ok(Self { task: tokio::spawn(run(pool)) })
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes the rows equal to `schedules`. The next time of a schedule stays unless its expression or zone has changed, so
/// that a time missed since then is made up for. Times that users have set stay.
pub async fn write_schedules(pool: &PgPool, schedules: &[Schedule], now: DateTime<Utc>) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    for new in schedules {
        sqlx::query(
            "insert into schedules as s (id, name, about, cron, zone, kind, subject, params, next_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (name) do update set about = excluded.about,
                 cron = case when $10 then s.cron else excluded.cron end,
                 zone = case when $10 then s.zone else excluded.zone end,
                 kind = excluded.kind, subject = excluded.subject, params = excluded.params, updated_at = now(),
                 next_at = case when $10 or (s.cron, s.zone) = (excluded.cron, excluded.zone) then s.next_at
                                else excluded.next_at end",
        )
        .bind(ScheduleId::now_v7())
        .bind(new.name)
        .bind(new.about)
        .bind(new.cron)
        .bind(new.zone)
        .bind(new.kind)
        .bind(new.subject)
        .bind(&new.params)
        .bind(new.times.after(now).filter(|_| !new.is_set_by_users))
        .bind(new.is_set_by_users)
        .execute(&mut *tx)
        .await?;
    }
    let names: Vec<&str> = schedules.iter().map(|schedule| schedule.name).collect();
    sqlx::query("delete from schedules where name <> all($1)").bind(names).execute(&mut *tx).await?;
    tx.commit().await
}

async fn run(pool: PgPool) {
    loop {
        let pause = match look(&pool).await {
            Ok(next) => next.map_or(LONGEST, |next| (next - Utc::now()).to_std().unwrap_or_default()),
            Err(err) => {
                tracing::warn!("could not check the schedules, retrying: {err:#}");
                LONGEST
            }
        };
        tokio::time::sleep(pause.clamp(SHORTEST, LONGEST)).await;
    }
}

/// Enqueues due jobs; returns when the next one will be due.
async fn look(pool: &PgPool) -> anyhow::Result<Option<DateTime<Utc>>> {
    tick(pool, Utc::now()).await?;
    sqlx::query_scalar("select min(next_at) from schedules").fetch_one(pool).await.context("read the schedules")
}

#[derive(sqlx::FromRow)]
struct Due {
    id: ScheduleId,
    name: String,
    cron: String,
    zone: String,
    kind: String,
    subject: Uuid,
    params: serde_json::Value,
    next_at: DateTime<Utc>,
}

/// Enqueues the job of every schedule that is due at `now`. Returns the names of those with a new job.
pub async fn tick(pool: &PgPool, now: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
    let mut tx = pool.begin().await.context("look for due schedules")?;
    let due: Vec<Due> = sqlx::query_as(
        "select id, name, cron, zone, kind, subject, params, next_at from schedules
         where next_at <= $1 order by next_at, id for update skip locked",
    )
    .bind(now)
    .fetch_all(&mut *tx)
    .await
    .context("look for due schedules")?;
    let mut begun = Vec::new();
    for due in due {
        let new = New {
            kind: &due.kind,
            subject: due.subject,
            params: &due.params,
            run_at: Some(due.next_at),
            schedule: Some(&due.name),
        };
        let job = job::insert(&mut tx, &new).await.context("enqueue a scheduled job")?;
        let next = match Times::parse(&due.cron, &due.zone) {
            Ok(times) => times.after(now),
            Err(err) => {
                tracing::error!("the schedule {} cannot be parsed: {err:#}", due.name);
                None
            }
        };
        sqlx::query(
            "update schedules set next_at = $2, last_at = case when $3::uuid is null then last_at else $4 end,
                    last_job = coalesce($3, last_job), updated_at = now()
             where id = $1",
        )
        .bind(due.id)
        .bind(next)
        .bind(job)
        .bind(now)
        .execute(&mut *tx)
        .await
        .context("advance a schedule")?;
        match job {
            Some(_) => begun.push(due.name),
            None => tracing::info!("skipped the schedule {}: its last job is not finished", due.name),
        }
    }
    tx.commit().await.context("enqueue scheduled jobs")?;
    Ok(begun)
}

/// Sets the times of the schedule called `name`, which is [`Schedule::set_by_users`]; without `is_on`, it is never due.
/// Returns when it is due next.
pub async fn set_times(
    tx: &mut PgConnection,
    name: &str,
    (cron, zone): (&str, &str),
    is_on: bool,
    now: DateTime<Utc>,
) -> anyhow::Result<Option<DateTime<Utc>>> {
    let next = Times::parse(cron, zone)?.after(now).filter(|_| is_on);
    sqlx::query("update schedules set cron = $2, zone = $3, next_at = $4, updated_at = now() where name = $1")
        .bind(name)
        .bind(cron)
        .bind(zone)
        .bind(next)
        .execute(tx)
        .await
        .context("set the times of a schedule")?;
    Ok(next)
}

/// The result of [`enqueue_now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// A new job.
    New(JobId),
    /// This one is not finished yet.
    Unfinished(JobId),
}

/// Enqueues the job of the schedule called `name` now; its next time stays. `None` if there is no such schedule.
pub async fn enqueue_now(tx: &mut PgConnection, name: &str) -> sqlx::Result<Option<Enqueued>> {
    let found: Option<(ScheduleId, String, Uuid, serde_json::Value)> =
        sqlx::query_as("select id, kind, subject, params from schedules where name = $1 for update")
            .bind(name)
            .fetch_optional(&mut *tx)
            .await?;
    let Some((id, kind, subject, params)) = found else { return Ok(None) };
    let new = New { kind: &kind, subject, params: &params, run_at: None, schedule: Some(name) };
    // The unfinished job may end between the two statements.
    loop {
        if let Some(job) = job::insert(&mut *tx, &new).await? {
            sqlx::query("update schedules set last_at = now(), last_job = $2, updated_at = now() where id = $1")
                .bind(id)
                .bind(job)
                .execute(&mut *tx)
                .await?;
            return Ok(Some(Enqueued::New(job)));
        }
        let unfinished = sqlx::query_scalar(
            "select id from jobs where kind = $1 and subject = $2 and state in ('pending', 'running')",
        );
        if let Some(job) = unfinished.bind(&kind).bind(subject).fetch_optional(&mut *tx).await? {
            return Ok(Some(Enqueued::Unfinished(job)));
        }
    }
}
