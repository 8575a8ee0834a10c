//! The worker: leases due jobs and runs them, many at once.

use std::{collections::HashMap, future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use api::ids::ServerId;
use futures::FutureExt as _;
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore};
use tracing::Instrument as _;

use crate::{
    Failure, Job, Kind, Leases, Progress, Steps, causes,
    leases::{LeaseGuard, Stop},
    queue::{Leased, MOST_CRASHES, Next, lease_next, look, release, settle, settle_cancelled, settle_waiting},
};

/// The channel on which the database notifies workers of jobs that may be due.
pub const CHANNEL: &str = "jobs";

/// How long to wait for a notification before the clock is checked again.
const IDLE: Duration = Duration::from_secs(5);

type Outcome = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// How jobs of a kind are run.
struct Runner {
    kind: Kind,
    run: Box<dyn Fn(serde_json::Value, Steps, Tries) -> Outcome + Send + Sync>,
    cancelled: Box<dyn Fn(serde_json::Value) -> Outcome + Send + Sync>,
}

/// How often a job was leased, and how many of these runs never returned.
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
        let to_cancel = cx.clone();
        let run = move |params, mut steps, tries| -> Outcome {
            let cx = cx.clone();
            Box::pin(async move { run_or_give_up::<J>(&cx, params, &mut steps, tries).await })
        };
        let cancelled = move |params| -> Outcome {
            let cx = to_cancel.clone();
            Box::pin(async move {
                // A job that cannot be parsed has not run.
                let Ok(job) = serde_json::from_value::<J>(params) else { return Ok(()) };
                Ok(job.cancelled(&cx).await?)
            })
        };
        let runner = Runner { kind: Kind::of::<J>(), run: Box::new(run), cancelled: Box::new(cancelled) };
        let earlier = self.runners.insert(J::KIND, runner);
        assert!(earlier.is_none(), "two jobs are called {}", J::KIND);
        self
    }

    fn names(&self) -> Vec<&'static str> {
        self.runners.keys().copied().collect()
    }

    /// The kinds in the registry.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.runners.values().map(|runner| runner.kind)
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
    // A panic must neither end the process, nor be retried ten times in a row.
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

/// The outcome of a run.
enum Ended {
    Done(Result<(), Failure>),
    Cancelled,
    Lost,
}

/// Runs jobs until it is dropped.
pub struct Worker {
    task: tokio::task::JoinHandle<()>,
}

impl Worker {
    /// Starts a worker that runs at most `most` jobs at once. All workers of a process share its leases. Each needs its
    /// own `waker`, which must be notified of messages on [`CHANNEL`].
    pub fn start(pool: PgPool, registry: Registry, most: usize, leases: Leases, waker: Arc<Notify>) -> Self {
        Self { task: tokio::spawn(work(pool, Arc::new(registry), most, leases, waker)) }
    }
}

/// Releases the jobs of the previous, dead process of this server immediately instead of when their leases expire. Jobs
/// of other servers are left alone. Call it before this process starts its workers.
pub async fn take_over(pool: &PgPool, server: ServerId) -> sqlx::Result<()> {
    sqlx::query("update jobs set lease_until = now() where state = 'running' and server_id = $1")
        .bind(server)
        .execute(pool)
        .await?;
    Ok(())
}

/// Requeues the jobs of this process without counting a crash, because it is shutting down. Call it after the workers
/// with these `leases` were dropped.
pub async fn requeue_all(pool: &PgPool, leases: &Leases) -> sqlx::Result<()> {
    sqlx::query(
        "update jobs set state = 'pending', lease = null, lease_until = null, updated_at = now()
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

async fn work(pool: PgPool, registry: Arc<Registry>, most: usize, leases: Leases, waker: Arc<Notify>) {
    let slots = Arc::new(Semaphore::new(most));
    // Dropped with this task, which interrupts the jobs that still run: their leases expire.
    let mut running = tokio::task::JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        match look_and_lease(&pool, &registry.names(), &leases).await {
            Ok(Next::Leased(job, hold)) => {
                let (pool, registry) = (pool.clone(), registry.clone());
                running.spawn(async move {
                    let _slot = slot;
                    let span = || tracing::info_span!("job", job.id = %job.id, job.kind = %job.kind);
                    let span = causes::of(job.id).in_scope(span);
                    if let Err(err) = run(&pool, &registry, &job, hold).instrument(span).await {
                        tracing::error!(job.id = %job.id, job.kind = %job.kind, "could not settle the job: {err:#}");
                    }
                });
            }
            Ok(Next::Due(within)) => {
                drop(slot);
                let _ = tokio::time::timeout(within.min(IDLE), waker.notified()).await;
            }
            Err(err) => {
                tracing::warn!("could not lease the next job, retrying: {err:#}");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
}

/// Leases the next due job. Usually there is none, which takes one query without a lock.
async fn look_and_lease(pool: &PgPool, kinds: &[&str], leases: &Leases) -> anyhow::Result<Next> {
    match look(pool, kinds).await? {
        within if within.is_zero() => lease_next(pool, kinds, leases).await,
        within => Ok(Next::Due(within)),
    }
}

/// Takes the next due job, if there is one, and runs it as a separate process would. Returns whether there was one.
pub async fn run_next(pool: &PgPool, registry: &Registry) -> anyhow::Result<bool> {
    let leases = Leases::start(pool).context("renew leases")?;
    let Next::Leased(job, hold) = lease_next(pool, &registry.names(), &leases).await? else { return Ok(false) };
    run(pool, registry, &job, hold).await?;
    Ok(true)
}

async fn run(pool: &PgPool, registry: &Registry, job: &Leased, mut hold: LeaseGuard) -> anyhow::Result<()> {
    let runner = &registry.runners[job.kind.as_str()];
    tracing::debug!(attempt = job.attempt, "running the job");
    let ended = match job.cancelled {
        true => Ended::Cancelled,
        false => run_until_stopped(pool, runner, job, &mut hold).await,
    };
    let ended = match ended {
        Ended::Cancelled => clean_up(runner, job, &mut hold).await,
        ended => ended,
    };
    match &ended {
        Ended::Lost => {
            tracing::warn!(job.id = %job.id, job.kind = %job.kind, "stopped the job, because its lease was lost");
        }
        Ended::Cancelled => tracing::info!(job.id = %job.id, job.kind = %job.kind, "cancelled the job"),
        Ended::Done(Err(Failure::Retry(err))) => {
            tracing::warn!(job.id = %job.id, job.kind = %job.kind, attempt = job.attempt, "job failed, retrying: {err:#}");
        }
        Ended::Done(Err(Failure::Final(err))) => {
            tracing::info!(job.id = %job.id, job.kind = %job.kind, "job failed: {err:#}");
        }
        Ended::Done(_) => {}
    }
    match ended {
        Ended::Lost => release(pool, job).await,
        Ended::Cancelled => settle_cancelled(pool, job).await?,
        Ended::Done(Err(Failure::Wait { until, what })) => settle_waiting(pool, job, until, &what).await?,
        Ended::Done(outcome) => settle(pool, job, outcome).await?,
    }
    hold.settled();
    Ok(())
}

/// Runs a job until it ends or has to stop, and writes its progress meanwhile.
async fn run_until_stopped(pool: &PgPool, runner: &Runner, job: &Leased, hold: &mut LeaseGuard) -> Ended {
    let progress = Progress::new();
    let steps = Steps {
        pool: pool.clone(),
        job: job.id,
        lease: job.lease,
        progress: progress.clone(),
        #[cfg(feature = "testing")]
        crash: crate::crash_point::CrashPoint::planned(job.id),
    };
    let tries = Tries { attempt: job.attempt, crashes: job.crashes };
    let outcome = tokio::select! {
        biased;
        stop = hold.stopped() => Err(stop),
        outcome = (runner.run)(job.params.clone(), steps, tries) => Ok(outcome),
        never = progress.write(pool, job.id, job.lease) => match never {},
    };
    match outcome {
        Err(Stop::Lost) => Ended::Lost,
        Err(Stop::Cancelled) => Ended::Cancelled,
        Ok(outcome) => {
            progress.flush(pool, job.id, job.lease).await;
            Ended::Done(outcome)
        }
    }
}

/// Lets a cancelled job clean up.
async fn clean_up(runner: &Runner, job: &Leased, hold: &mut LeaseGuard) -> Ended {
    let cancelled = AssertUnwindSafe((runner.cancelled)(job.params.clone())).catch_unwind();
    tokio::select! {
        biased;
        () = hold.lost() => Ended::Lost,
        cleaned = cancelled => match cleaned {
            Ok(Ok(())) => Ended::Cancelled,
            Ok(Err(err)) => Ended::Done(Err(err)),
            Err(_) => Ended::Done(Err(Failure::Retry(anyhow!("the job panicked while it was cancelled")))),
        },
    }
}
