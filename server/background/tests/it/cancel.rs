//! Cancelling jobs in every state: queued, running, waiting, ended.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use api::ids::JobId;
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Leases, Registry, Steps, Worker, enqueue, request_cancel, run_next, testing};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);
/// Leases are renewed, and cancelled jobs detected, at a third of this interval.
const LEASE: Duration = Duration::from_secs(2);

#[derive(Clone, Default)]
struct Did(Arc<Mutex<Vec<&'static str>>>);

impl Did {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

struct Stopped(Did);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.note("stopped");
    }
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum How {
    Hangs,
    Waits,
    Well,
    /// The cleanup fails the first time.
    IsStubborn,
}

#[derive(Serialize, Deserialize)]
struct Walk {
    id: Uuid,
    how: How,
}

#[async_trait]
impl Job for Walk {
    const KIND: &'static str = "test.walk";
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = Did;

    fn subject(&self) -> Uuid {
        self.id
    }

    async fn run(&self, did: &Did, _: &mut Steps) -> Result<(), Failure> {
        did.note("begun");
        match self.how {
            How::Well => Ok(()),
            How::Waits => Err(Failure::wait(LONG, "the rain to stop")),
            How::Hangs | How::IsStubborn => {
                let _stopped = Stopped(did.clone());
                std::future::pending().await
            }
        }
    }

    async fn give_up(&self, did: &Did, _: &anyhow::Error) -> anyhow::Result<()> {
        did.note("given up");
        Ok(())
    }

    async fn cancelled(&self, did: &Did) -> anyhow::Result<()> {
        did.note("cancelled");
        match self.how == How::IsStubborn && did.all().iter().filter(|d| **d == "cancelled").count() < 2 {
            true => Err(anyhow!("the door is stuck")),
            false => Ok(()),
        }
    }
}

struct World {
    pool: PgPool,
    did: Did,
}

impl World {
    async fn start() -> Self {
        Self { pool: store::testing::pool().await, did: Did::default() }
    }

    /// Returns the id of its job.
    async fn enqueue(&self, how: How) -> JobId {
        let walk = Walk { id: Uuid::now_v7(), how };
        enqueue(&mut self.pool.acquire().await.unwrap(), &walk).await.unwrap();
        let id = sqlx::query_scalar("select id from jobs where subject = $1");
        id.bind(walk.id).fetch_one(&self.pool).await.unwrap()
    }

    fn registry(&self) -> Registry {
        Registry::default().with::<Walk>(self.did.clone())
    }

    async fn worker(&self) -> Worker {
        let (leases, waker) = (Leases::with_duration(&self.pool, LEASE).unwrap(), testing::waker(&self.pool).await);
        Worker::start(self.pool.clone(), self.registry(), 4, leases, waker)
    }

    async fn run(&self) -> bool {
        run_next(&self.pool, &self.registry()).await.unwrap()
    }

    async fn cancel(&self, job: JobId) -> bool {
        request_cancel(&mut self.pool.acquire().await.unwrap(), job).await.unwrap()
    }

    async fn state(&self, job: JobId) -> (String, Option<String>, bool) {
        sqlx::query_as("select state, error, finished_at is not null and lease is null from jobs where id = $1")
            .bind(job)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    async fn until(&self, what: &str, mut fits: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + LONG;
        while !fits().await {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.did.all());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn cancelled() -> (String, Option<String>, bool) {
    ("cancelled".into(), None, true)
}

#[tokio::test]
async fn what_has_not_begun_never_does() {
    let w = World::start().await;
    let job = w.enqueue(How::Well).await;
    sqlx::query("update jobs set run_at = now() + interval '1 day'").execute(&w.pool).await.unwrap();
    assert!(w.cancel(job).await);
    assert!(w.run().await && !w.run().await);
    assert_eq!((w.state(job).await, w.did.all()), (cancelled(), vec!["cancelled"]));
}

#[tokio::test]
async fn what_waits_is_waited_for_no_more() {
    let w = World::start().await;
    let job = w.enqueue(How::Waits).await;
    assert!(w.run().await && !w.run().await);
    assert!(w.cancel(job).await);
    assert!(w.run().await && !w.run().await);
    assert_eq!((w.state(job).await, w.did.all()), (cancelled(), vec!["begun", "cancelled"]));
}

#[tokio::test]
async fn work_is_cancelled_by_the_server_that_runs_it() {
    let w = World::start().await;
    let worker = w.worker().await;
    let job = w.enqueue(How::Hangs).await;
    w.until("it begins", async || w.did.all() == ["begun"]).await;
    // This is another connection, like that of another server.
    assert!(w.cancel(job).await);
    w.until("it is cancelled", async || w.state(job).await == cancelled()).await;
    assert_eq!(w.did.all(), ["begun", "stopped", "cancelled"]);
    // Its subject may have another one.
    sqlx::query("update jobs set subject = id").execute(&w.pool).await.unwrap();
    drop(worker);
}

#[tokio::test]
async fn cleaning_up_is_tried_again() {
    let w = World::start().await;
    let worker = w.worker().await;
    let job = w.enqueue(How::IsStubborn).await;
    w.until("it begins", async || w.did.all() == ["begun"]).await;
    assert!(w.cancel(job).await);
    w.until("it fails to clean up", async || w.did.all().contains(&"cancelled")).await;
    w.until("it is put back", async || w.state(job).await.1.as_deref() == Some("the door is stuck")).await;
    sqlx::query("update jobs set run_at = now()").execute(&w.pool).await.unwrap();
    w.until("it is cancelled", async || w.state(job).await == cancelled()).await;
    assert_eq!(w.did.all(), ["begun", "stopped", "cancelled", "cancelled"], "it did not run again");
    drop(worker);
}

#[tokio::test]
async fn a_server_that_dies_while_it_cancels_leaves_that_to_the_next() {
    let w = World::start().await;
    let job = w.enqueue(How::Hangs).await;
    sqlx::query(
        "update jobs set state = 'running', attempt = 1, lease = gen_random_uuid(), lease_until = now() - interval '1s'",
    )
    .execute(&w.pool)
    .await
    .unwrap();
    assert!(w.cancel(job).await);
    assert!(w.run().await);
    assert_eq!((w.state(job).await, w.did.all()), (cancelled(), vec!["cancelled"]));
}

#[tokio::test]
async fn what_has_ended_stays_as_it_is() {
    let w = World::start().await;
    let job = w.enqueue(How::Well).await;
    assert!(w.run().await);
    assert!(!w.cancel(job).await && !w.cancel(JobId::now_v7()).await);
    assert_eq!(w.state(job).await.0, "succeeded");
}

#[tokio::test]
async fn of_concurrent_cancellations_one_succeeds() {
    let w = World::start().await;
    let job = w.enqueue(How::Well).await;
    let all = futures::future::join_all((0..8).map(|_| w.cancel(job))).await;
    assert_eq!(all.iter().filter(|is_new| **is_new).count(), 1);
    assert!(w.run().await);
    assert!(!w.cancel(job).await);
    assert_eq!((w.state(job).await, w.did.all()), (cancelled(), vec!["cancelled"]));
}
