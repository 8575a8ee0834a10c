//! Leases: they are renewed while the process is busy, and end before the job begins elsewhere.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use api::ids::ServerId;
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Leases, Registry, Steps, Worker, enqueue, run_next, take_over, testing};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

/// Far longer than any operation takes here.
const LONG: Duration = Duration::from_secs(60);
/// The duration of leases that expire in these tests.
const LEASE: Duration = Duration::from_secs(2);
/// The duration of leases that must not expire, however busy the machine is with other tests.
const SAFE_LEASE: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<&'static str>>>);

impl Notes {
    fn add(&self, note: &'static str) {
        self.0.lock().unwrap().push(note);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    async fn wait_for(&self, notes: &[&'static str]) {
        let deadline = Instant::now() + LONG;
        while self.all() != notes {
            assert!(Instant::now() < deadline, "{:?}", self.all());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Reports when it begins and when it is stopped, and never ends.
#[derive(Serialize, Deserialize)]
struct Wait(Uuid);

struct Stopped(Notes);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.add("stopped");
    }
}

#[async_trait]
impl Job for Wait {
    const KIND: &'static str = "test.wait";
    const CANCEL: Cancel = Cancel::Instead("It never ends.");
    type Context = Notes;

    fn subject(&self) -> Uuid {
        self.0
    }

    async fn run(&self, notes: &Notes, _: &mut Steps) -> Result<(), Failure> {
        notes.add("begun");
        let _stopped = Stopped(notes.clone());
        std::future::pending().await
    }

    async fn give_up(&self, _: &Notes, _: &anyhow::Error) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A worker that runs a job that never ends.
async fn running(pool: &PgPool, leases: Leases, notes: &Notes) -> Worker {
    let registry = Registry::default().with::<Wait>(notes.clone());
    let worker = Worker::start(pool.clone(), registry, 4, leases, testing::waker(pool).await);
    enqueue(&mut pool.acquire().await.unwrap(), &Wait(Uuid::now_v7())).await.unwrap();
    notes.wait_for(&["begun"]).await;
    worker
}

async fn fact(pool: &PgPool, query: &'static str) -> bool {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_runtime_that_is_blocked_loses_no_lease() {
    let (pool, notes) = (store::testing::pool().await, Notes::default());
    let options = pool.connect_options();
    let busy = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let theirs = notes.clone();
    let worker = busy.spawn(async move {
        let pool = PgPool::connect_with((*options).clone()).await.unwrap();
        running(&pool, Leases::with_duration(&pool, SAFE_LEASE).unwrap(), &theirs).await
    });
    let worker = worker.await.unwrap();
    // A worker that is stopped while it leases the next job blocks others from leasing.
    let rests = "select count(*) = 0 from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'";
    let mut looks = 0;
    while looks < 10 {
        looks = if fact(&pool, rests).await { looks + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let first = "update jobs set error = lease_until::text returning true";
    assert!(fact(&pool, first).await);

    // All threads of the other runtime are blocked until the first lease would have expired.
    let (at_work, done) = (Arc::new(std::sync::Barrier::new(3)), Arc::new(AtomicBool::new(false)));
    for _ in 0..2 {
        let (at_work, done) = (at_work.clone(), done.clone());
        busy.spawn(async move {
            at_work.wait();
            while !done.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        });
    }
    tokio::task::spawn_blocking(move || at_work.wait()).await.unwrap();
    let registry = Registry::default().with::<Wait>(notes.clone());
    let taken = tokio::time::timeout(LONG, async {
        while !fact(&pool, "select now() > error::timestamptz + interval '1s' from jobs").await {
            if run_next(&pool, &registry).await.unwrap() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run_next(&pool, &registry).await.unwrap()
    });
    let taken = taken.await;
    // Before any assertion: threads that stay blocked would prevent a failed test from ending.
    done.store(true, Ordering::Relaxed);
    assert_eq!(taken, Ok(false), "nobody else may have it, and the first lease runs out");
    assert!(fact(&pool, "select crashes = 0 and attempt = 1 and state = 'running' from jobs").await);
    assert_eq!(notes.all(), ["begun"]);
    tokio::task::spawn_blocking(move || drop((worker, busy))).await.unwrap();
}

#[tokio::test]
async fn a_job_whose_lease_cannot_be_renewed_is_stopped_before_another_server_begins_it() {
    let (pool, notes) = (store::testing::pool().await, Notes::default());
    // There is no response from there.
    let nowhere = PgPool::connect_lazy_with((*pool.connect_options()).clone().socket("/nowhere"));
    let worker = running(&pool, Leases::with_duration(&nowhere, LEASE).unwrap(), &notes).await;
    let (other, registry) = (pool.clone(), Registry::default().with::<Wait>(notes.clone()));
    let others = tokio::spawn(async move { while !run_next(&other, &registry).await.unwrap() {} });
    notes.wait_for(&["begun", "stopped", "begun"]).await;
    assert!(fact(&pool, "select crashes = 0 from jobs").await, "that was not the job's fault");
    drop(worker);
    others.abort();
}

#[tokio::test]
async fn a_job_whose_lease_somebody_else_has_is_stopped() {
    let (pool, notes) = (store::testing::pool().await, Notes::default());
    let worker = running(&pool, Leases::with_duration(&pool, LEASE).unwrap(), &notes).await;
    let lease = "update jobs set lease = gen_random_uuid(), lease_until = now() + interval '1h' returning true";
    assert!(fact(&pool, lease).await);
    notes.wait_for(&["begun", "stopped"]).await;
    assert!(fact(&pool, "select state = 'running' and lease is not null from jobs").await, "it stays theirs");
    drop(worker);
}

#[tokio::test]
async fn a_job_that_is_not_stopped_yet_is_not_begun_again_by_the_same_server() {
    let (pool, notes) = (store::testing::pool().await, Notes::default());
    let worker = running(&pool, Leases::start(&pool).unwrap(), &notes).await;
    assert!(fact(&pool, "update jobs set lease_until = now() returning true").await);
    // The worker leases jobs again.
    let next = Wait(Uuid::now_v7());
    enqueue(&mut pool.acquire().await.unwrap(), &next).await.unwrap();
    notes.wait_for(&["begun", "begun"]).await;
    assert!(fact(&pool, "select max(crashes) = 0 and max(attempt) = 1 from jobs").await);
    drop(worker);
}

#[tokio::test]
async fn a_server_that_starts_takes_over_its_own_jobs_and_not_those_of_another_server() {
    let (pool, notes) = (store::testing::pool().await, Notes::default());
    let (here, there) = (ServerId::now_v7(), ServerId::now_v7());
    let worker = running(&pool, Leases::start(&pool).unwrap().of_server(there), &notes).await;
    let registry = Registry::default().with::<Wait>(notes.clone());
    take_over(&pool, here).await.unwrap();
    assert!(!run_next(&pool, &registry).await.unwrap(), "the other server runs it");
    assert!(fact(&pool, "select state = 'running' and attempt = 1 and crashes = 0 from jobs").await);
    assert_eq!(notes.all(), ["begun"]);
    // Killed and restarted.
    drop(worker);
    notes.wait_for(&["begun", "stopped"]).await;
    take_over(&pool, there).await.unwrap();
    let next = tokio::spawn(async move { run_next(&pool, &registry).await.unwrap() });
    notes.wait_for(&["begun", "stopped", "begun"]).await;
    next.abort();
}

#[tokio::test]
async fn a_runtime_that_is_blocked_while_it_leases_a_job_keeps_no_other_server_from_leasing_it() {
    let (pool, notes) = (store::testing::pool().await, Notes::default());
    enqueue(&mut pool.acquire().await.unwrap(), &Wait(Uuid::now_v7())).await.unwrap();
    // The leasing worker holds the lock, and waits for the table.
    let mut table = pool.begin().await.unwrap();
    sqlx::query("lock table jobs in share mode").execute(&mut *table).await.unwrap();
    let options = pool.connect_options();
    let busy = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let registry = || Registry::default().with::<Wait>(notes.clone());
    let theirs = registry();
    let worker = busy.spawn(async move {
        let pool = PgPool::connect_with((*options).clone()).await.unwrap();
        let (leases, waker) = (Leases::with_duration(&pool, LEASE).unwrap(), testing::waker(&pool).await);
        Worker::start(pool.clone(), theirs, 1, leases, waker)
    });
    let worker = worker.await.unwrap();
    let waits = "select exists (select 1 from pg_stat_activity where datname = current_database()
                                and wait_event_type = 'Lock' and query like 'update jobs%')";
    let deadline = Instant::now() + LONG;
    while !fact(&pool, waits).await {
        assert!(Instant::now() < deadline, "nobody leases a job");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // Its only thread is blocked, so it is not notified that it has got the table.
    let (at_work, done) = (Arc::new(std::sync::Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    busy.spawn({
        let (at_work, done) = (at_work.clone(), done.clone());
        async move {
            at_work.wait();
            while !done.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        }
    });
    tokio::task::spawn_blocking(move || at_work.wait()).await.unwrap();
    table.commit().await.unwrap();
    let (here, registry) = (pool.clone(), registry());
    let next = tokio::spawn(async move { run_next(&here, &registry).await });
    let begun = tokio::time::timeout(LONG, async {
        while notes.all().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let begun = begun.await;
    // Before any assertion: a thread that stays blocked would prevent a failed test from ending.
    done.store(true, Ordering::Relaxed);
    assert!(begun.is_ok(), "the job begins on another server");
    next.abort();
    tokio::task::spawn_blocking(move || drop((worker, busy))).await.unwrap();
}
