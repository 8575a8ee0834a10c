//! Delayed and waiting jobs: neither hold a worker, nor are lost when the server dies.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use api::ids::ServerId;
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Leases, Registry, Steps, Worker, enqueue, enqueue_at, run_next, testing, wake};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);

/// The ships at sea, and the completed work.
#[derive(Clone)]
struct Harbour {
    pool: PgPool,
    has_arrived: Arc<Mutex<bool>>,
    did: Arc<Mutex<Vec<&'static str>>>,
    /// The tide comes in between the check and the wait.
    is_woken_meanwhile: bool,
}

/// Unloads a ship once it has arrived.
#[derive(Serialize, Deserialize)]
struct Unload(Uuid);

#[async_trait]
impl Job for Unload {
    const KIND: &'static str = "test.unload";
    const ATTEMPTS: i32 = 2;
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = Harbour;

    fn subject(&self) -> Uuid {
        self.0
    }

    async fn run(&self, harbour: &Harbour, steps: &mut Steps) -> Result<(), Failure> {
        let did = |what| -> Result<(), Failure> {
            harbour.did.lock().unwrap().push(what);
            Ok(())
        };
        steps.once("clear the quay", async { did("clear") }).await?;
        let arrive = async {
            did("look")?;
            if *harbour.has_arrived.lock().unwrap() {
                return Ok(());
            }
            if harbour.is_woken_meanwhile {
                *harbour.has_arrived.lock().unwrap() = true;
                let mut db = harbour.pool.acquire().await?;
                wake::<Self>(&mut db, self.0).await?;
            }
            Err(Failure::wait(Duration::from_secs(3600), "the ship"))
        };
        steps.once("arrive", arrive).await?;
        steps.once("unload", async { did("unload") }).await
    }

    async fn give_up(&self, harbour: &Harbour, _: &anyhow::Error) -> anyhow::Result<()> {
        harbour.did.lock().unwrap().push("give up");
        Ok(())
    }
}

impl Harbour {
    async fn start() -> Self {
        let pool = store::testing::pool().await;
        Self { pool, has_arrived: Arc::default(), did: Arc::default(), is_woken_meanwhile: false }
    }

    async fn enqueue(&self) -> Unload {
        let job = Unload(Uuid::now_v7());
        assert!(enqueue(&mut self.pool.acquire().await.unwrap(), &job).await.unwrap());
        job
    }

    async fn run(&self) -> bool {
        run_next(&self.pool, &self.registry()).await.unwrap()
    }

    fn registry(&self) -> Registry {
        Registry::default().with::<Unload>(self.clone())
    }

    async fn wake(&self, job: &Unload) {
        wake::<Unload>(&mut self.pool.acquire().await.unwrap(), job.0).await.unwrap();
    }

    fn did(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.did.lock().unwrap())
    }

    /// State, attempt, reason of the wait, and whether it is due.
    async fn row(&self, job: &Unload) -> (String, i32, Option<String>, bool) {
        sqlx::query_as("select state, attempt, waits_for, run_at <= now() from jobs where subject = $1")
            .bind(job.0)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    async fn until(&self, job: &Unload, state: &str) {
        let deadline = Instant::now() + LONG;
        while self.row(job).await.0 != state {
            assert!(Instant::now() < deadline, "{:?}", self.row(job).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn row(state: &str, attempt: i32, waits_for: Option<&str>, is_due: bool) -> (String, i32, Option<String>, bool) {
    (state.into(), attempt, waits_for.map(String::from), is_due)
}

#[tokio::test]
async fn what_waits_is_put_back_with_its_steps_and_its_attempts() {
    let h = Harbour::start().await;
    let job = h.enqueue().await;
    // More often than the maximum number of attempts.
    for n in 0..5 {
        assert!(h.run().await);
        assert_eq!(h.row(&job).await, row("pending", 0, Some("the ship"), false));
        assert_eq!(h.did(), if n == 0 { vec!["clear", "look"] } else { vec!["look"] });
        assert!(!h.run().await, "it is not due");
        h.wake(&job).await;
        assert!(h.row(&job).await.3);
    }
    *h.has_arrived.lock().unwrap() = true;
    assert!(h.run().await);
    assert_eq!(h.row(&job).await, row("succeeded", 1, None, true));
    assert_eq!(h.did(), ["look", "unload"]);
}

#[tokio::test]
async fn what_waits_is_due_when_its_time_has_come() {
    let h = Harbour::start().await;
    let job = h.enqueue().await;
    assert!(h.run().await);
    *h.has_arrived.lock().unwrap() = true;
    sqlx::query("update jobs set run_at = now()").execute(&h.pool).await.unwrap();
    assert!(h.run().await);
    assert_eq!(h.row(&job).await.0, "succeeded");
}

#[tokio::test]
async fn who_is_woken_between_looking_and_waiting_looks_again() {
    let h = Harbour { is_woken_meanwhile: true, ..Harbour::start().await };
    let job = h.enqueue().await;
    assert!(h.run().await);
    assert_eq!(h.row(&job).await, row("pending", 0, Some("the ship"), true));
    assert!(h.run().await);
    assert_eq!((h.row(&job).await.0.as_str(), h.did().last()), ("succeeded", Some(&"unload")));
}

#[tokio::test]
async fn waking_a_job_that_does_not_wait_changes_nothing() {
    let h = Harbour::start().await;
    let nobody = Unload(Uuid::now_v7());
    h.wake(&nobody).await;
    let job = h.enqueue().await;
    sqlx::query("update jobs set run_at = now() + interval '1h', error = 'failed once'")
        .execute(&h.pool)
        .await
        .unwrap();
    h.wake(&job).await;
    assert_eq!(h.row(&job).await, row("pending", 0, None, false), "it is tried again when it was to be");
}

#[tokio::test]
async fn one_worker_runs_others_while_a_hundred_wait_and_is_woken() {
    let h = Harbour::start().await;
    let waiting: Vec<Unload> = {
        let mut all = Vec::new();
        for _ in 0..100 {
            all.push(h.enqueue().await);
        }
        all
    };
    let (leases, waker) = (Leases::start(&h.pool).unwrap(), testing::waker(&h.pool).await);
    let worker = Worker::start(h.pool.clone(), h.registry(), 1, leases, waker);
    let deadline = Instant::now() + LONG;
    let count = "select count(*) from jobs where waits_for is not null";
    while sqlx::query_scalar::<_, i64>(count).fetch_one(&h.pool).await.unwrap() < 100 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    *h.has_arrived.lock().unwrap() = true;
    let other = h.enqueue().await;
    h.until(&other, "succeeded").await;
    assert_eq!(h.row(&waiting[0]).await, row("pending", 0, Some("the ship"), false));
    h.wake(&waiting[0]).await;
    h.until(&waiting[0], "succeeded").await;
    drop(worker);
}

#[tokio::test]
async fn a_wait_survives_the_server() {
    let h = Harbour::start().await;
    let job = h.enqueue().await;
    assert!(h.run().await);
    background::requeue_all(&h.pool, &background::Leases::start(&h.pool).unwrap()).await.unwrap();
    background::take_over(&h.pool, ServerId::now_v7()).await.unwrap();
    assert_eq!(h.row(&job).await, row("pending", 0, Some("the ship"), false));
    // A server that dies while the job checks again.
    h.wake(&job).await;
    sqlx::query(
        "update jobs set state = 'running', attempt = attempt + 1, waits_for = null, lease = gen_random_uuid(),
                lease_until = now() - interval '1s'",
    )
    .execute(&h.pool)
    .await
    .unwrap();
    *h.has_arrived.lock().unwrap() = true;
    assert!(h.run().await);
    assert_eq!(h.row(&job).await.0, "succeeded");
    assert_eq!(h.did(), ["clear", "look", "look", "unload"]);
}

#[tokio::test]
async fn a_job_for_later_starts_then() {
    let h = Harbour::start().await;
    *h.has_arrived.lock().unwrap() = true;
    let (past, future) = (Unload(Uuid::now_v7()), Unload(Uuid::now_v7()));
    let mut db = h.pool.acquire().await.unwrap();
    enqueue_at(&mut db, &future, Utc::now() + chrono::Duration::hours(1)).await.unwrap();
    assert!(!h.run().await);
    enqueue_at(&mut db, &past, Utc::now() - chrono::Duration::hours(1)).await.unwrap();
    assert!(h.run().await && !h.run().await);
    assert_eq!((h.row(&past).await.0.as_str(), h.row(&future).await.0.as_str()), ("succeeded", "pending"));
    // An idle worker knows when the next one is due.
    let (leases, waker) = (Leases::start(&h.pool).unwrap(), testing::waker(&h.pool).await);
    let worker = Worker::start(h.pool.clone(), h.registry(), 1, leases, waker);
    let soon = Unload(Uuid::now_v7());
    let at = Utc::now() + chrono::Duration::milliseconds(300);
    enqueue_at(&mut db, &soon, at).await.unwrap();
    h.until(&soon, "succeeded").await;
    let early: bool = sqlx::query_scalar("select started_at < run_at from jobs where subject = $1")
        .bind(soon.0)
        .fetch_one(&h.pool)
        .await
        .unwrap();
    assert!(!early);
    drop(worker);
}
