//! For tests: proves that a job survives a crash at every point where it could crash, and wakes workers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::ids::JobId;
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::Notify;

use crate::{CHANNEL, Job, Registry, crash_point, enqueue, run_next};

/// The time limit for a job, including everything that it waits for.
const LONG: Duration = Duration::from_secs(60);

/// A waker for one worker, as a server has it, until the end of the runtime.
///
/// # Panics
/// When the database cannot be reached.
pub async fn waker(pool: &PgPool) -> Arc<Notify> {
    let mut listener = PgListener::connect_with(pool).await.expect("connect to the database");
    listener.listen(CHANNEL).await.expect("listen");
    let waker = Arc::new(Notify::new());
    let woken = waker.clone();
    tokio::spawn(async move {
        while listener.recv().await.is_ok() {
            woken.notify_one();
        }
    });
    waker
}

/// Runs `job` to its end once for each of its crash points, crashing there, and calls `check` each time. Returns the
/// number of points.
///
/// Crash points are before a step, after its effect but before it is recorded, and after it is recorded. Call this from
/// a single-threaded runtime.
///
/// # Panics
/// When a job does not succeed after a crash; the message names the point.
pub async fn survives_a_crash_anywhere<J: Job>(
    pool: &PgPool,
    cx: J::Context,
    mut fresh: impl AsyncFnMut() -> J,
    mut check: impl AsyncFnMut(&J),
) -> usize {
    let (mut crash_at, mut points) = (0, 0);
    loop {
        let job = fresh().await;
        let mut db = pool.acquire().await.expect("a connection");
        enqueue(&mut db, &job).await.expect("enqueue the job");
        drop(db);
        let id: JobId =
            sqlx::query_scalar("select id from jobs where kind = $1 and subject = $2 order by id desc limit 1")
                .bind(J::KIND)
                .bind(job.subject())
                .fetch_one(pool)
                .await
                .expect("the job's row");
        let registry = Registry::default().with::<J>(cx.clone());

        crash_point::plan(id, crash_at);
        let (state, error) = run_to_its_end(pool, &registry, id).await;
        assert_eq!(state, "succeeded", "crashed at point {crash_at}: {error:?}");
        check(&job).await;

        crash_at += 1;
        points = points.max(crash_point::reached());
        if points <= crash_at {
            return crash_at;
        }
    }
}

/// Runs a job until it has ended or has to be retried; returns its state and error.
async fn run_to_its_end(pool: &PgPool, registry: &Registry, job: JobId) -> (String, Option<String>) {
    let deadline = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < deadline, "the job still waits");
        if !run_next(pool, registry).await.expect("run the job") {
            // What wakes it has locked its row.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        // As if the crashed server's lease had expired, and what the job waits for had happened.
        let (state, waits, error): (String, bool, Option<String>) = sqlx::query_as(
            "update jobs set lease_until = case when state = 'running' then now() - interval '1s' end,
                    run_at = case when waits_for is null then run_at else now() end
             where id = $1 returning state, waits_for is not null, error",
        )
        .bind(job)
        .fetch_one(pool)
        .await
        .expect("the job's row");
        match state.as_str() {
            "running" => {}
            "pending" if waits => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return (state, error),
        }
    }
}
