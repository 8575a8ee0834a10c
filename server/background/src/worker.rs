//! The worker: leases due jobs and runs them, many at once.

use std::{
    collections::HashMap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use futures::FutureExt as _;
use sqlx::{PgConnection, PgPool, postgres::PgListener};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{Failure, Job, Leases, Steps, leases::Hold};

/// A job during which the server ended more often is not run again. The oftener it did, the fewer suspected jobs ran
/// beside it, and at last none, so that a job which does no harm does not come near.
const MOST_CRASHES: i32 = 5;
/// If the server ends even while such a job is given up, it is let lie.
const MOST_LAST_CRASHES: i32 = MOST_CRASHES + 2;
/// How long to wait for a notification before looking at the clock again.
const IDLE: Duration = Duration::from_secs(2);

type Outcome = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
type Runner = Box<dyn Fn(serde_json::Value, Steps, Tries) -> Outcome + Send + Sync>;

/// How often a job was leased, and how many of these times it never returned.
#[derive(Clone, Copy)]
struct Tries {
    attempt: i32,
    crashes: i32,
}

/// The kinds of job this server knows how to run.
#[derive(Default)]
pub struct Registry {
    runners: HashMap<&'static str, Runner>,
}

impl Registry {
    /// Adds a kind of job, which runs with `cx`.
    pub fn with<J: Job>(mut self, cx: J::Context) -> Self {
        let runner: Runner = Box::new(move |params, mut steps, tries| {
            let cx = cx.clone();
            Box::pin(async move { run_or_give_up::<J>(&cx, params, &mut steps, tries).await })
        });
        let earlier = self.runners.insert(J::KIND, runner);
        assert!(earlier.is_none(), "two jobs are called {}", J::KIND);
        self
    }
}

async fn run_or_give_up<J: Job>(
    cx: &J::Context,
    params: serde_json::Value,
    steps: &mut Steps,
    tries: Tries,
) -> Result<(), Failure> {
    let job: J = serde_json::from_value(params).map_err(|err| Failure::Final(err.into()))?;
    if tries.crashes > MOST_CRASHES {
        let err = anyhow!("the server ended {} times while it ran", tries.crashes);
        job.give_up(cx, &err).await?;
        return Err(Failure::Final(err));
    }
    // A panic in one job must not end the process, nor be tried ten times in a row.
    let outcome = AssertUnwindSafe(job.run(cx, steps)).catch_unwind().await.unwrap_or_else(|panic| {
        let message =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(Failure::Final(anyhow!("the job panicked: {}", message.unwrap_or_default())))
    });
    let err = match outcome {
        Err(Failure::Retry(err)) if J::ATTEMPTS <= tries.attempt - tries.crashes => err,
        Err(Failure::Final(err)) => err,
        other => return other,
    };
    job.give_up(cx, &err).await?;
    Err(Failure::Final(err))
}

#[derive(sqlx::FromRow)]
struct Leased {
    id: Uuid,
    kind: String,
    params: serde_json::Value,
    attempt: i32,
    crashes: i32,
    lease: Uuid,
}

/// Runs jobs until it is dropped.
pub struct Worker {
    task: tokio::task::JoinHandle<()>,
}

impl Worker {
    /// Starts a worker that runs at most `most` jobs at once. All workers of a process have the same leases.
    pub async fn start(pool: PgPool, registry: Registry, most: usize, leases: Leases) -> Self {
        let listener = listen(&pool).await;
        Self { task: tokio::spawn(work(pool, Arc::new(registry), most, leases, listener)) }
    }
}

/// Lets the jobs go at once, instead of when their leases run out, that an earlier server ran, which is dead. Call it
/// before this process starts its workers, if no other has any on this database.
pub async fn take_over(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("update jobs set lease_until = now() where state = 'running'").execute(pool).await?;
    Ok(())
}

/// Puts the jobs back that this process ran and will not go on with, because it is told to end: that is no fault of
/// theirs. Call it when the workers with these `leases` were dropped.
pub async fn put_back(pool: &PgPool, leases: &Leases) -> sqlx::Result<()> {
    sqlx::query(
        "update jobs set state = 'pending', lease = null, lease_until = null
         where state = 'running' and lease = any($1)",
    )
    .bind(leases.unsettled())
    .execute(pool)
    .await?;
    Ok(())
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen("jobs").await.ok()?;
    Some(listener)
}

async fn work(pool: PgPool, registry: Arc<Registry>, most: usize, leases: Leases, mut listener: Option<PgListener>) {
    let slots = Arc::new(Semaphore::new(most));
    // Dropped with this task, which interrupts the jobs that still run: their leases run out.
    let mut running = tokio::task::JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        match lease_next(&pool, &registry, &leases).await {
            Ok(Some((job, hold))) => {
                let (pool, registry) = (pool.clone(), registry.clone());
                running.spawn(async move {
                    let _slot = slot;
                    if let Err(err) = run(&pool, &registry, &job, hold).await {
                        tracing::error!(job.id = %job.id, job.kind = %job.kind, "could not settle the job: {err:#}");
                    }
                });
            }
            Ok(None) => {
                drop(slot);
                idle(&pool, &mut listener).await;
            }
            Err(err) => {
                tracing::warn!("could not lease the next job, retrying: {err:#}");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
}

/// Waits for a notification or for a while.
async fn idle(pool: &PgPool, listener: &mut Option<PgListener>) {
    match listener {
        Some(l) => {
            if let Ok(Err(_)) = tokio::time::timeout(IDLE, l.recv()).await {
                *listener = None;
            }
        }
        None => {
            tokio::time::sleep(IDLE).await;
            *listener = listen(pool).await;
        }
    }
}

/// Takes the next due job, if there is one, and runs it, as a process of its own would. Returns whether there was one.
pub async fn run_next(pool: &PgPool, registry: &Registry) -> anyhow::Result<bool> {
    let leases = Leases::start(pool).context("renew leases")?;
    let Some((job, hold)) = lease_next(pool, registry, &leases).await? else { return Ok(false) };
    run(pool, registry, &job, hold).await?;
    Ok(true)
}

async fn run(pool: &PgPool, registry: &Registry, job: &Leased, mut hold: Hold) -> anyhow::Result<()> {
    let steps = Steps {
        pool: pool.clone(),
        job: job.id,
        lease: job.lease,
        #[cfg(feature = "testing")]
        crash: crate::crash_point::CrashPoint::planned(),
    };
    let run = &registry.runners[job.kind.as_str()];
    let outcome = tokio::select! {
        biased;
        () = hold.lost() => None,
        outcome = run(job.params.clone(), steps, Tries { attempt: job.attempt, crashes: job.crashes }) => Some(outcome),
    };
    let Some(outcome) = outcome else {
        tracing::warn!(job.id = %job.id, job.kind = %job.kind, "stopped the job, because its lease was lost");
        let_go(pool, job).await;
        hold.settled();
        return Ok(());
    };
    match &outcome {
        Err(Failure::Retry(err)) => {
            tracing::warn!(job.id = %job.id, job.kind = %job.kind, attempt = job.attempt, "job failed, retrying: {err:#}");
        }
        Err(Failure::Final(err)) => tracing::info!(job.id = %job.id, job.kind = %job.kind, "job failed: {err:#}"),
        _ => {}
    }
    settle(pool, job, outcome).await?;
    hold.settled();
    Ok(())
}

/// Lets go what a process held that has ended, or has lost its lease: it may have ended because of that. From the
/// second time on it waits, longer each time, so that others get done in between. What this process `held`, it still
/// runs.
async fn release_expired(db: &mut PgConnection, held: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query(
        "update jobs set state = case when crashes < $1 then 'pending' else 'failed' end, crashes = crashes + 1,
                lease = null, lease_until = null, error = 'the server ended while it ran',
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

/// Leases the job that is due first. Those during which the server has ended are suspected, and few of them run at
/// once: 8, if it ended once during each of those, then 4, 2, and at last 1. So whoever ends the server is among half
/// as many each time, and one that takes long holds up no other.
async fn lease_next(pool: &PgPool, registry: &Registry, leases: &Leases) -> anyhow::Result<Option<(Leased, Hold)>> {
    let kinds: Vec<&str> = registry.runners.keys().copied().collect();
    let mut tx = pool.begin().await.context("lease the next job")?;
    // One at a time, or two might both count the suspects before either adds one.
    sqlx::query("select pg_advisory_xact_lock(7305)").execute(&mut *tx).await.context("wait to lease a job")?;
    let held = leases.jobs();
    release_expired(&mut tx, &held).await.context("release jobs with expired leases")?;
    let since = Instant::now();
    let job: Option<Leased> = sqlx::query_as(
        "with suspects as (select count(*) as running, coalesce(max(crashes), 0) as crashes from jobs
                           where state = 'running' and crashes > 0)
         update jobs set state = 'running', attempt = attempt + 1,
                lease = gen_random_uuid(), lease_until = now() + make_interval(secs => $2)
         where id = (
             select j.id from jobs j, suspects s
             where j.kind = any($1) and j.state = 'pending' and j.run_at <= now()
               and j.id <> all($3) and (j.crashes = 0 or s.running < greatest(1, 16 >> greatest(s.crashes, j.crashes)))
             order by j.run_at limit 1 for update of j skip locked)
         returning id, kind, params, attempt, crashes, lease",
    )
    .bind(kinds)
    .bind(leases.lasts().as_secs_f64())
    .bind(held)
    .fetch_optional(&mut *tx)
    .await
    .context("lease the next job")?;
    // Before anybody else sees the lease, so that it is renewed from its beginning.
    let job = job.map(|job| (leases.hold(job.id, job.lease, since), job));
    tx.commit().await.context("lease the next job")?;
    Ok(job.map(|(hold, job)| (job, hold)))
}

/// Gives the lease back of a job that was stopped, as soon as the database answers: nothing is the job's fault. Does
/// nothing if somebody else has leased it meanwhile.
async fn let_go(pool: &PgPool, job: &Leased) {
    let let_go = "update jobs set state = 'pending', lease = null, lease_until = null where id = $1 and lease = $2";
    while sqlx::query(let_go).bind(job.id).bind(job.lease).execute(pool).await.is_err() {
        tokio::time::sleep(IDLE).await;
    }
}

async fn settle(pool: &PgPool, job: &Leased, outcome: Result<(), Failure>) -> anyhow::Result<()> {
    let (state, error) = match outcome {
        Ok(()) => ("succeeded", None),
        Err(Failure::Retry(err)) => ("pending", Some(format!("{err:#}"))),
        Err(Failure::Final(err)) => ("failed", Some(format!("{err:#}"))),
        Err(Failure::Interrupted) => return Ok(()),
    };
    let backoff = f64::from(2_i32.saturating_pow((job.attempt - job.crashes).clamp(0, 8) as u32));
    sqlx::query(
        "update jobs set state = $3, error = $4, lease = null, lease_until = null,
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
