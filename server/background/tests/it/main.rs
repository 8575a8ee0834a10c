//! Jobs against a real database: leases, retries, giving up, crashes.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod cancel;
mod leases;
mod progress;
mod schedules;
mod waiting;

use std::sync::{Arc, Mutex};

use anyhow::anyhow;
use async_trait::async_trait;
use background::{
    Cancel, Failure, Job, Registry, Steps, enqueue, run_next,
    testing::{self, survives_a_crash_anywhere},
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

/// The effects of the jobs.
#[derive(Clone)]
struct World {
    pool: PgPool,
    did: Arc<Mutex<Vec<String>>>,
}

impl World {
    async fn start() -> Self {
        Self { pool: store::testing::pool().await, did: Arc::default() }
    }

    fn note(&self, what: impl Into<String>) {
        self.did.lock().unwrap().push(what.into());
    }

    fn did(&self) -> Vec<String> {
        std::mem::take(&mut *self.did.lock().unwrap())
    }

    fn registry(&self) -> Registry {
        Registry::default().with::<Cook>(self.clone())
    }

    fn leases(&self) -> background::Leases {
        background::Leases::start(&self.pool).unwrap()
    }

    async fn enqueue(&self, job: &Cook) -> bool {
        enqueue(&mut self.pool.acquire().await.unwrap(), job).await.unwrap()
    }

    async fn run(&self) -> bool {
        run_next(&self.pool, &self.registry()).await.unwrap()
    }

    async fn row(&self, job: &Cook) -> Seen {
        sqlx::query_as(
            "select state, attempt, error, run_at > now() as later, lease is not null as leased from jobs
             where subject = $1 order by created_at desc limit 1",
        )
        .bind(job.dish)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    async fn sql(&self, query: &'static str) {
        sqlx::query(query).execute(&self.pool).await.unwrap();
    }
}

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Seen {
    state: String,
    attempt: i32,
    error: Option<String>,
    later: bool,
    leased: bool,
}

fn row(state: &str, attempt: i32, error: Option<&str>, later: bool) -> Seen {
    Seen { state: state.into(), attempt, error: error.map(String::from), later, leased: false }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum How {
    Well,
    /// Fails this many times, then succeeds.
    AtLast(i32),
    Burnt,
    Panics,
    LosesTheLease,
    Hangs,
}

#[derive(Clone, Serialize, Deserialize)]
struct Cook {
    dish: Uuid,
    how: How,
}

impl Cook {
    fn new(how: How) -> Self {
        Self { dish: Uuid::now_v7(), how }
    }
}

#[async_trait]
impl Job for Cook {
    const KIND: &'static str = "test.cook";
    const ATTEMPTS: i32 = 3;
    const CANCEL: Cancel = Cancel::Instead("Eat it.");
    type Context = World;

    fn subject(&self) -> Uuid {
        self.dish
    }

    async fn run(&self, world: &World, steps: &mut Steps) -> Result<(), Failure> {
        let spice: u32 = steps
            .once("choose a spice", async {
                world.note("choose");
                Ok(7)
            })
            .await?;
        match self.how {
            How::AtLast(n) => {
                let attempt: i32 = sqlx::query_scalar("select attempt from jobs where subject = $1")
                    .bind(self.dish)
                    .fetch_one(&world.pool)
                    .await?;
                if attempt <= n {
                    return Err(Failure::Retry(anyhow!("the stove is off").context("heat the pan")));
                }
            }
            How::Burnt => return Err(Failure::Final(anyhow!("it is burnt"))),
            How::Panics => panic!("no pan"),
            How::Hangs => std::future::pending().await,
            How::Well | How::LosesTheLease => {}
        }
        if self.how == How::LosesTheLease {
            world.sql("update jobs set lease = gen_random_uuid()").await;
        }
        steps
            .once("cook", async {
                world.note(format!("cook with {spice}"));
                Ok(())
            })
            .await?;
        steps
            .once("serve", async {
                world.note("serve");
                Ok(())
            })
            .await
    }

    async fn give_up(&self, world: &World, why: &anyhow::Error) -> anyhow::Result<()> {
        world.note(format!("give up: {why:#}"));
        Ok(())
    }
}

#[tokio::test]
async fn a_job_is_run_once() {
    let w = World::start().await;
    assert!(!w.run().await);
    let job = Cook::new(How::Well);
    w.enqueue(&job).await;
    assert!(w.run().await);
    assert!(!w.run().await);
    assert_eq!(w.did(), ["choose", "cook with 7", "serve"]);
    assert_eq!(w.row(&job).await, row("succeeded", 1, None, false));
}

#[tokio::test]
async fn an_uncommitted_job_does_not_exist() {
    let w = World::start().await;
    let mut tx = w.pool.begin().await.unwrap();
    assert!(enqueue(&mut tx, &Cook::new(How::Well)).await.unwrap());
    tx.rollback().await.unwrap();
    assert!(!w.run().await);
}

#[tokio::test]
async fn a_subject_has_one_unfinished_job_of_a_kind() {
    let w = World::start().await;
    let job = Cook::new(How::Well);
    assert!(w.enqueue(&job).await);
    assert!(!w.enqueue(&job).await);
    assert!(w.enqueue(&Cook::new(How::Well)).await);
    while w.run().await {}
    assert!(w.enqueue(&job).await);
}

#[tokio::test]
async fn a_failure_is_tried_again_later_without_the_steps_that_are_done() {
    let w = World::start().await;
    let job = Cook::new(How::AtLast(2));
    w.enqueue(&job).await;
    w.run().await;
    assert_eq!(w.row(&job).await, row("pending", 1, Some("heat the pan: the stove is off"), true));
    assert!(!w.run().await);
    assert!(!w.enqueue(&job).await);
    for _ in 0..2 {
        w.sql("update jobs set run_at = now()").await;
        assert!(w.run().await);
    }
    assert_eq!(w.row(&job).await.state, "succeeded");
    assert_eq!(w.did(), ["choose", "cook with 7", "serve"]);
}

#[tokio::test]
async fn after_the_last_attempt_it_gives_up() {
    let w = World::start().await;
    let job = Cook::new(How::AtLast(100));
    w.enqueue(&job).await;
    for _ in 0..3 {
        w.sql("update jobs set run_at = now()").await;
        assert!(w.run().await);
    }
    assert_eq!(w.row(&job).await, row("failed", 3, Some("heat the pan: the stove is off"), false));
    w.sql("update jobs set run_at = now()").await;
    assert!(!w.run().await);
    assert_eq!(w.did(), ["choose", "give up: heat the pan: the stove is off"]);
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    let w = World::start().await;
    for (how, why) in [(How::Burnt, "it is burnt"), (How::Panics, "the job panicked: no pan")] {
        let job = Cook::new(how);
        w.enqueue(&job).await;
        w.run().await;
        assert_eq!(w.row(&job).await, row("failed", 1, Some(why), false));
        assert_eq!(w.did(), ["choose".to_owned(), format!("give up: {why}")]);
    }
}

#[tokio::test]
async fn whoever_lost_the_lease_records_nothing_more() {
    let w = World::start().await;
    let job = Cook::new(How::LosesTheLease);
    w.enqueue(&job).await;
    w.run().await;
    let now = w.row(&job).await;
    assert_eq!((now.state.as_str(), now.leased), ("running", true));
    let steps: Vec<String> = sqlx::query_scalar("select name from job_steps").fetch_all(&w.pool).await.unwrap();
    assert_eq!(steps, ["choose a spice"]);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_over() {
    let w = World::start().await;
    let job = Cook::new(How::Well);
    w.enqueue(&job).await;
    w.sql("update jobs set state = 'running', attempt = 1, lease = gen_random_uuid(), lease_until = now() + interval '9s'").await;
    assert!(!w.run().await);
    w.sql("update jobs set lease_until = now()").await;
    assert!(w.run().await);
    assert_eq!(w.row(&job).await, row("succeeded", 2, None, false));
}

#[tokio::test]
async fn two_workers_do_not_run_the_same_job() {
    let w = World::start().await;
    for _ in 0..20 {
        w.enqueue(&Cook::new(How::Well)).await;
    }
    let work = async || while w.run().await {};
    tokio::join!(work(), work(), work());
    let did = w.did();
    assert_eq!(did.iter().filter(|d| *d == "serve").count(), 20);
}

#[tokio::test]
async fn a_worker_runs_jobs_of_a_dead_one_and_new_ones() {
    let w = World::start().await;
    let held = Cook::new(How::Well);
    w.enqueue(&held).await;
    w.sql(
        "update jobs set state = 'running', lease = gen_random_uuid(), lease_until = now() + interval '1h',
                server_id = subject",
    )
    .await;
    background::take_over(&w.pool, held.dish.into()).await.unwrap();
    let waker = testing::waker(&w.pool).await;
    let worker = background::Worker::start(w.pool.clone(), w.registry(), 4, w.leases(), waker);
    let new = Cook::new(How::Well);
    w.enqueue(&new).await;
    for job in [&held, &new] {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while w.row(job).await.state != "succeeded" {
            assert!(std::time::Instant::now() < deadline, "{:?}", w.row(job).await);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    drop(worker);
    let late = Cook::new(How::Well);
    w.enqueue(&late).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(w.row(&late).await.state, "pending");
}

#[tokio::test]
async fn a_crash_at_any_point_repeats_at_most_one_step() {
    let w = World::start().await;
    let points = survives_a_crash_anywhere(
        &w.pool,
        w.clone(),
        async || Cook::new(How::Well),
        async |_| {
            let did = w.did();
            assert!((3..=4).contains(&did.len()), "{did:?}");
            assert_eq!(did.last().map(String::as_str), Some("serve"));
        },
    )
    .await;
    assert_eq!(points, 9);
}

impl World {
    /// The process that ran the jobs is gone.
    async fn crash(&self) {
        self.sql("update jobs set lease_until = now() where state = 'running'").await;
    }

    /// Leases all due jobs and never releases them.
    async fn lease(&self) -> Vec<Uuid> {
        loop {
            let (before, world) = (self.running().await.len(), self.clone());
            let next = tokio::spawn(async move { world.run().await });
            while self.running().await.len() == before {
                if next.is_finished() {
                    return self.running().await;
                }
                tokio::task::yield_now().await;
            }
            next.abort();
        }
    }

    /// The leased jobs, without those of processes that have ended.
    async fn running(&self) -> Vec<Uuid> {
        let leased = "select subject from jobs where state = 'running' and lease_until > now()";
        sqlx::query_scalar(leased).fetch_all(&self.pool).await.unwrap()
    }

    async fn crashes(&self, job: &Cook) -> i32 {
        sqlx::query_scalar("select crashes from jobs where subject = $1")
            .bind(job.dish)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_job_that_ends_the_server_again_and_again_is_given_up() {
    let w = World::start().await;
    let poison = Cook::new(How::Hangs);
    w.enqueue(&poison).await;
    for n in 0..6 {
        if n > 1 {
            assert!(!w.run().await, "it waits before it is run again");
            w.sql("update jobs set run_at = now()").await;
        }
        assert_eq!(w.lease().await, [poison.dish]);
        w.crash().await;
    }
    assert!(!w.run().await, "it waits before it is given up");
    w.sql("update jobs set run_at = now()").await;
    assert!(w.run().await);
    let last = w.row(&poison).await;
    assert_eq!((last.state.as_str(), last.error.as_deref()), ("failed", Some("the server ended 6 times while it ran")));
    assert_eq!(w.did().last().map(String::as_str), Some("give up: the server ended 6 times while it ran"));
}

#[tokio::test]
async fn one_that_takes_long_holds_up_no_other_that_ran_when_the_server_ended() {
    let w = World::start().await;
    let slow = Cook::new(How::Hangs);
    w.enqueue(&slow).await;
    let others: Vec<Cook> = (0..60).map(|_| Cook::new(How::Well)).collect();
    for job in &others {
        w.enqueue(job).await;
    }
    w.sql(
        "update jobs set state = 'running', attempt = 1, lease = gen_random_uuid(), lease_until = now()
         where state = 'pending'",
    )
    .await;
    // It is the first to be resumed, and never ends.
    w.sql("update jobs set run_at = run_at - interval '1h' where params->>'how' = 'Hangs'").await;
    let world = w.clone();
    let held = tokio::spawn(async move { world.run().await });
    while w.running().await != [slow.dish] {
        tokio::task::yield_now().await;
    }
    while w.run().await {}
    for job in &others {
        assert_eq!(w.row(job).await.state, "succeeded");
    }
    held.abort();
}

#[tokio::test]
async fn of_the_jobs_that_ran_when_the_server_ended_half_as_many_run_each_time() {
    let w = World::start().await;
    // One of them crashes the server as soon as it runs; the others take long.
    let jobs: Vec<Cook> = (0..60).map(|_| Cook::new(How::Hangs)).collect();
    for job in &jobs {
        w.enqueue(job).await;
    }
    assert_eq!(w.lease().await.len(), 60);
    let poison = jobs[0].dish;
    for (most, crashes) in [(8, 1), (4, 2), (2, 3), (1, 4), (1, 5)] {
        w.crash().await;
        assert!(!run_next(&w.pool, &Registry::default()).await.unwrap());
        w.sql("update jobs set run_at = now() + interval '1h' where state = 'pending'").await;
        sqlx::query("update jobs set run_at = now() - interval '1h' where subject = $1")
            .bind(poison)
            .execute(&w.pool)
            .await
            .unwrap();
        assert_eq!(w.lease().await, [poison], "nobody else is due, after {crashes} crashes");
        w.sql("update jobs set run_at = now() - interval '1m' where state = 'pending'").await;
        assert_eq!(w.lease().await.len(), most, "after {crashes} crashes");
        // New jobs are not delayed by it.
        let new = Cook::new(How::Well);
        w.enqueue(&new).await;
        assert!(w.run().await);
        assert_eq!(w.row(&new).await.state, "succeeded");
    }
    assert_eq!(w.crashes(&jobs[0]).await, 5);
    let mut harmed = 0;
    for job in &jobs[1..] {
        harmed = harmed.max(w.crashes(job).await);
    }
    assert!(harmed < 5, "{harmed}: nobody else comes near to being given up");
}

#[tokio::test]
async fn a_shutdown_blames_no_job_and_leaves_others_alone() {
    let w = World::start().await;
    let (job, other) = (Cook::new(How::Hangs), Cook::new(How::Hangs));
    let long = || background::Leases::with_duration(&w.pool, std::time::Duration::from_secs(600)).unwrap();
    let (leases, others) = (long(), long());
    for (job, leases) in [(&job, &leases), (&other, &others)] {
        w.enqueue(job).await;
        let waker = testing::waker(&w.pool).await;
        let worker = background::Worker::start(w.pool.clone(), w.registry(), 1, leases.clone(), waker);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while w.row(job).await.state != "running" {
            assert!(std::time::Instant::now() < deadline, "{:?}", w.row(job).await);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        drop(worker);
    }
    background::requeue_all(&w.pool, &leases).await.unwrap();
    assert_eq!((w.row(&job).await.state.as_str(), w.crashes(&job).await), ("pending", 0));
    assert_eq!(w.row(&other).await.state, "running", "another server runs it");
    background::requeue_all(&w.pool, &others).await.unwrap();
    assert_eq!(w.row(&other).await.state, "pending");
}
