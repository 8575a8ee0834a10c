//! Leases: they mark jobs as running, and are renewed on a thread that nothing else can block.
//!
//! A thread with its own runtime and database connection renews the leases of all jobs of this process, so that a
//! handler which blocks the shared runtime loses none. A lease that could not be renewed is given up before it expires
//! in the database: its job is stopped before another server can start it. A job that has not stopped yet is never
//! started again by this process, whatever the database says. Renewal also detects cancelled jobs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::ids::{JobId, LeaseId, ServerId};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::sync::{oneshot, watch};

const LEASE: Duration = Duration::from_secs(15);

/// The leases of this process. Cheap to clone; dropping the last clone ends the thread that renews them.
#[derive(Clone)]
pub struct Leases {
    held: Arc<Held>,
    duration: Duration,
    server: Option<ServerId>,
    /// Dropped with the last clone, which the thread notices.
    _thread: Arc<oneshot::Sender<()>>,
}

#[derive(Default)]
struct Held {
    all: Mutex<HashMap<LeaseId, Lease>>,
    /// Leases of jobs that were dropped before their outcome was recorded.
    dropped: Mutex<Vec<LeaseId>>,
}

struct Lease {
    job: JobId,
    /// When its last renewal began; the lease is valid at least from then on.
    renewed: Instant,
    stop: watch::Sender<Option<Stop>>,
}

impl Lease {
    fn is_lost(&self) -> bool {
        *self.stop.borrow() == Some(Stop::Lost)
    }

    fn lose(&self) {
        self.stop.send_replace(Some(Stop::Lost));
    }

    fn cancel(&self) {
        self.stop.send_if_modified(|stop| stop.is_none() && stop.replace(Stop::Cancelled).is_none());
    }
}

/// Why a job has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It was cancelled. The lease is still renewed.
    Cancelled,
    /// Another server may run it at any moment.
    Lost,
}

/// The lease of a job that this process runs; given up when dropped.
pub(crate) struct LeaseGuard {
    held: Arc<Held>,
    lease: LeaseId,
    stop: watch::Receiver<Option<Stop>>,
    is_settled: bool,
}

impl LeaseGuard {
    /// Waits until the job has to stop.
    pub async fn stopped(&mut self) -> Stop {
        // The sender lives as long as this guard.
        self.stop.wait_for(Option::is_some).await.ok().and_then(|stop| *stop).unwrap_or(Stop::Lost)
    }

    /// Waits until the lease is lost.
    pub async fn lost(&mut self) {
        let _ = self.stop.wait_for(|stop| *stop == Some(Stop::Lost)).await;
    }

    /// Notes that the database has the outcome of the job, or that the job will run again.
    pub fn settled(&mut self) {
        self.is_settled = true;
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if !self.is_settled {
            self.held.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(self.lease);
        }
        self.held.all().remove(&self.lease);
    }
}

impl Leases {
    /// Starts renewing leases in the database of `pool`. Fails if no thread can be created.
    pub fn start(pool: &PgPool) -> std::io::Result<Self> {
        Self::with_duration(pool, LEASE)
    }

    /// Like [`Leases::start`], with another duration of leases. For tests.
    pub fn with_duration(pool: &PgPool, duration: Duration) -> std::io::Result<Self> {
        let (held, options) = (Arc::new(Held::default()), pool.connect_options());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (thread, ended) = oneshot::channel();
        let renewed = held.clone();
        std::thread::Builder::new().name("leases".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = ended => {}
                    () = renew_forever(&renewed, &options, duration) => {}
                }
            });
        })?;
        Ok(Self { held, duration, server: None, _thread: Arc::new(thread) })
    }

    /// The same leases, as those of the server with this id: when it is started again, it [takes over](crate::take_over)
    /// the jobs that it has left.
    pub fn of_server(self, server: ServerId) -> Self {
        Self { server: Some(server), ..self }
    }

    /// The server that has the leases, if it is known.
    pub(crate) fn server(&self) -> Option<ServerId> {
        self.server
    }

    /// How long a lease is valid without renewal.
    pub(crate) fn duration(&self) -> Duration {
        self.duration
    }

    /// Renews `lease` of `job` from now on, which was taken after `since`.
    pub(crate) fn hold(&self, job: JobId, lease: LeaseId, since: Instant) -> LeaseGuard {
        let (sender, stop) = watch::channel(None);
        self.held.all().insert(lease, Lease { job, renewed: since, stop: sender });
        LeaseGuard { held: self.held.clone(), lease, stop, is_settled: false }
    }

    /// The jobs that run in this process, or have not stopped yet.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        self.held.all().values().map(|lease| lease.job).collect()
    }

    /// The leases of this process whose jobs have no outcome.
    pub(crate) fn unsettled(&self) -> Vec<LeaseId> {
        // A dropped guard is added to the second set before it is removed from the first.
        let mut leases: Vec<LeaseId> = self.held.all().keys().copied().collect();
        leases.extend(self.held.dropped.lock().unwrap_or_else(PoisonError::into_inner).iter());
        leases
    }
}

impl Held {
    fn all(&self) -> MutexGuard<'_, HashMap<LeaseId, Lease>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews every lease that is not lost, in one statement. New ones, which may not be committed yet, are not due.
    async fn renew(
        &self,
        db: &mut Option<PgConnection>,
        options: &PgConnectOptions,
        duration: Duration,
    ) -> sqlx::Result<()> {
        let is_due = |held: &Lease| !held.is_lost() && held.renewed.elapsed() > duration / 5;
        let of_jobs = |(lease, held): (&LeaseId, &Lease)| is_due(held).then_some((held.job, *lease));
        let (jobs, leases): (Vec<JobId>, Vec<LeaseId>) = self.all().iter().filter_map(of_jobs).unzip();
        if jobs.is_empty() {
            return Ok(());
        }
        let db = match db {
            Some(db) => db,
            None => db.insert(PgConnection::connect_with(options).await?),
        };
        let now = Instant::now();
        let kept: Vec<(LeaseId, bool)> = sqlx::query_as(
            "update jobs j set lease_until = now() + make_interval(secs => $3)
             from unnest($1::uuid[], $2::uuid[]) h(job, lease) where j.id = h.job and j.lease = h.lease
             returning j.lease, j.cancel_requested_at is not null",
        )
        .bind(jobs)
        .bind(&leases)
        .bind(duration.as_secs_f64())
        .fetch_all(db)
        .await?;
        let mut all = self.all();
        for lease in leases {
            let Some(held) = all.get_mut(&lease) else { continue };
            match kept.iter().find(|(kept, _)| *kept == lease) {
                Some((_, cancelled)) => {
                    held.renewed = now;
                    if *cancelled {
                        held.cancel();
                    }
                }
                None => held.lose(),
            }
        }
        Ok(())
    }

    /// Gives up the leases that were not renewed for `after`.
    fn give_up(&self, after: Duration) {
        self.all().values().filter(|held| held.renewed.elapsed() > after).for_each(Lease::lose);
    }
}

/// Renews leases until it is dropped.
async fn renew_forever(held: &Held, options: &PgConnectOptions, duration: Duration) {
    let mut db = None;
    loop {
        let pause = match tokio::time::timeout(duration / 5, held.renew(&mut db, options, duration)).await {
            Ok(Ok(())) => duration / 3,
            failed => {
                let why = failed.map_or_else(|late| late.to_string(), |done| format!("{done:?}"));
                tracing::warn!("could not renew the leases of jobs, will try again: {why}");
                db = None;
                duration / 15
            }
        };
        // The next check is at most 4/15 of a lease away, so that none expires before it.
        held.give_up(duration * 2 / 3);
        tokio::time::sleep(pause).await;
    }
}
