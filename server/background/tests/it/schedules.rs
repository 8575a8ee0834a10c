//! Schedules: each time is taken exactly once, with any number of servers.

use api::ids::JobId;
use async_trait::async_trait;
use background::{
    Cancel, Enqueued, Failure, Job, Registry, Schedule, Steps, enqueue_now, run_next, set_times, tick, write_schedules,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

/// Rings a bell.
#[derive(Serialize, Deserialize)]
struct Ring(Uuid);

#[async_trait]
impl Job for Ring {
    const KIND: &'static str = "test.ring";
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = ();

    fn subject(&self) -> Uuid {
        self.0
    }

    async fn run(&self, (): &(), _: &mut Steps) -> Result<(), Failure> {
        Ok(())
    }

    async fn give_up(&self, (): &(), _: &anyhow::Error) -> anyhow::Result<()> {
        Ok(())
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn bell(name: &'static str, cron: &'static str, zone: &'static str) -> Schedule {
    // Each has its own bell.
    let subject = Uuid::from_u128(name.bytes().fold(0, |id, b| id << 8 | u128::from(b)));
    Schedule::new(name, "Rings a bell.", (cron, zone), &Ring(subject)).unwrap()
}

async fn jobs(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from jobs").fetch_one(pool).await.unwrap()
}

async fn next(pool: &PgPool, name: &str) -> DateTime<Utc> {
    sqlx::query_scalar("select next_at from schedules where name = $1").bind(name).fetch_one(pool).await.unwrap()
}

async fn run(pool: &PgPool) -> usize {
    let registry = Registry::default().with::<Ring>(());
    let mut ran = 0;
    while run_next(pool, &registry).await.unwrap() {
        ran += 1;
    }
    ran
}

#[tokio::test]
async fn a_time_is_taken_once_by_two_servers_with_clocks_of_their_own() {
    let one = store::testing::pool().await;
    let other = PgPool::connect_with((*one.connect_options()).clone()).await.unwrap();
    let names: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let all = names.map(|name| bell(name, "0 * * * *", "UTC"));
    let start = time("2026-12-01T09:30:00Z");
    tokio::try_join!(write_schedules(&one, &all, start), write_schedules(&other, &all, start)).unwrap();
    for hour in 0..5 {
        // The clock of the second one is ahead.
        let now = time("2026-12-01T10:00:01Z") + chrono::Duration::hours(hour);
        let ahead = now + chrono::Duration::seconds(20);
        let looks = (0..4).map(|n| if n % 2 == 0 { tick(&one, now) } else { tick(&other, ahead) });
        let begun: Vec<String> =
            futures::future::join_all(looks).await.into_iter().flat_map(|begun| begun.unwrap()).collect();
        assert_eq!(begun.len(), 10, "{begun:?}");
        assert_eq!(tick(&other, now).await.unwrap(), Vec::<String>::new());
        assert_eq!(run(&one).await, 10);
    }
    assert_eq!(jobs(&one).await, 50);
    let at_its_time: bool =
        sqlx::query_scalar("select bool_and(schedule is not null and run_at = date_trunc('hour', run_at)) from jobs")
            .fetch_one(&one)
            .await
            .unwrap();
    assert!(at_its_time);
}

#[tokio::test]
async fn times_that_passed_while_nobody_was_there_are_made_up_for_once() {
    let pool = store::testing::pool().await;
    let all = [bell("daily", "30 4 * * *", "Europe/Berlin")];
    write_schedules(&pool, &all, time("2026-12-01T00:00:00Z")).await.unwrap();
    assert_eq!(next(&pool, "daily").await, time("2026-12-01T03:30:00Z"));
    // The server is down for three days, and detects that although it rewrites its schedules.
    let back = time("2026-12-04T12:00:00Z");
    write_schedules(&pool, &all, back).await.unwrap();
    assert_eq!(tick(&pool, back).await.unwrap(), ["daily"]);
    assert_eq!(tick(&pool, back).await.unwrap(), Vec::<String>::new());
    assert_eq!((run(&pool).await, next(&pool, "daily").await), (1, time("2026-12-05T03:30:00Z")));
}

#[tokio::test]
async fn a_day_on_which_clocks_change_has_each_local_time_once() {
    let pool = store::testing::pool().await;
    let all = [bell("night", "30 2 * * *", "Europe/Berlin")];
    for (from, to) in
        [("2026-03-27T12:00:00Z", "2026-03-31T12:00:00Z"), ("2026-10-23T12:00:00Z", "2026-10-27T12:00:00Z")]
    {
        sqlx::query("delete from schedules").execute(&pool).await.unwrap();
        let (mut now, mut begun) = (time(from), 0);
        write_schedules(&pool, &all, now).await.unwrap();
        while now < time(to) {
            begun += tick(&pool, now).await.unwrap().len();
            run(&pool).await;
            now += chrono::Duration::minutes(10);
        }
        assert_eq!(begun, 4, "once each night from {from}");
    }
}

#[tokio::test]
async fn a_time_at_which_the_last_job_is_not_finished_is_skipped() {
    let pool = store::testing::pool().await;
    write_schedules(&pool, &[bell("hourly", "0 * * * *", "UTC")], time("2026-12-01T09:30:00Z")).await.unwrap();
    assert_eq!(tick(&pool, time("2026-12-01T10:00:00Z")).await.unwrap(), ["hourly"]);
    assert_eq!(tick(&pool, time("2026-12-01T11:00:00Z")).await.unwrap(), Vec::<String>::new());
    assert_eq!((jobs(&pool).await, next(&pool, "hourly").await), (1, time("2026-12-01T12:00:00Z")));
}

#[tokio::test]
async fn schedules_are_those_of_the_program() {
    let pool = store::testing::pool().await;
    let now = time("2026-12-01T09:30:00Z");
    write_schedules(&pool, &[bell("stays", "0 * * * *", "UTC"), bell("goes", "0 * * * *", "UTC")], now).await.unwrap();
    sqlx::query("update schedules set next_at = now() - interval '1 day'").execute(&pool).await.unwrap();
    let before = next(&pool, "stays").await;
    write_schedules(&pool, &[bell("stays", "0 * * * *", "UTC")], now).await.unwrap();
    let names: Vec<String> = sqlx::query_scalar("select name from schedules").fetch_all(&pool).await.unwrap();
    assert_eq!((names, next(&pool, "stays").await), (vec!["stays".to_owned()], before));
    // With a different expression, its next time changes.
    write_schedules(&pool, &[bell("stays", "0 4 * * *", "Asia/Tokyo")], now).await.unwrap();
    assert_eq!(next(&pool, "stays").await, time("2026-12-01T19:00:00Z"));
}

#[tokio::test]
async fn a_schedule_is_run_now_unless_its_job_is_unfinished() {
    let pool = store::testing::pool().await;
    write_schedules(&pool, &[bell("daily", "0 4 * * *", "UTC")], time("2026-12-01T09:30:00Z")).await.unwrap();
    let next_before = next(&pool, "daily").await;
    let begin = async |name| {
        let mut tx = pool.begin().await.unwrap();
        let begun = enqueue_now(&mut tx, name).await.unwrap();
        tx.commit().await.unwrap();
        begun
    };
    assert_eq!(begin("nightly").await, None);
    // Concurrently: one job.
    let all = futures::future::join_all((0..8).map(|_| begin("daily"))).await;
    let new: Vec<JobId> =
        all.iter().filter_map(|begun| if let Some(Enqueued::New(job)) = begun { Some(*job) } else { None }).collect();
    let [job] = new[..] else { panic!("{all:?}") };
    assert!(all.iter().all(|begun| matches!(begun, Some(Enqueued::New(id) | Enqueued::Unfinished(id)) if *id == job)));
    assert_eq!((run(&pool).await, next(&pool, "daily").await), (1, next_before));
    let last: Option<JobId> = sqlx::query_scalar("select last_job from schedules").fetch_one(&pool).await.unwrap();
    assert_eq!(last, Some(job));
    assert!(matches!(begin("daily").await, Some(Enqueued::New(_))));
}

#[tokio::test]
async fn a_schedule_that_is_not_understood_holds_up_no_other() {
    let pool = store::testing::pool().await;
    let now = time("2026-12-01T09:30:00Z");
    write_schedules(&pool, &[bell("odd", "0 * * * *", "UTC"), bell("good", "0 * * * *", "UTC")], now).await.unwrap();
    // As written by a version that knows other zones.
    sqlx::query("update schedules set zone = 'Mars/Olympus' where name = 'odd'").execute(&pool).await.unwrap();
    let mut begun = tick(&pool, time("2026-12-01T10:00:00Z")).await.unwrap();
    begun.sort();
    assert_eq!(begun, ["good", "odd"], "it is due once more, as was found out when it was understood");
    run(&pool).await;
    assert_eq!(tick(&pool, time("2026-12-01T11:00:00Z")).await.unwrap(), ["good"]);
}

#[tokio::test]
async fn times_that_users_have_set_stay() {
    let pool = store::testing::pool().await;
    let all = [bell("nightly", "30 3 * * *", "UTC").set_by_users()];
    let start = time("2026-12-01T00:00:00Z");
    let due = async || -> Option<DateTime<Utc>> {
        sqlx::query_scalar("select next_at from schedules where name = 'nightly'").fetch_one(&pool).await.unwrap()
    };
    write_schedules(&pool, &all, start).await.unwrap();
    // It is off.
    assert_eq!((due().await, tick(&pool, time("2027-12-01T00:00:00Z")).await.unwrap()), (None, vec![]));
    let mut tx = pool.begin().await.unwrap();
    let next = set_times(&mut tx, "nightly", ("0 5 * * *", "Europe/Berlin"), true, start).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(next, Some(time("2026-12-01T04:00:00Z")));
    // A restart changes nothing.
    write_schedules(&pool, &all, start).await.unwrap();
    assert_eq!(due().await, next);
    assert_eq!(tick(&pool, time("2026-12-01T04:00:01Z")).await.unwrap(), ["nightly"]);
    let mut db = pool.acquire().await.unwrap();
    set_times(&mut db, "nightly", ("0 5 * * *", "Europe/Berlin"), false, start).await.unwrap();
    assert_eq!(due().await, None);
    let wrong = set_times(&mut db, "nightly", ("5", "UTC"), true, start).await.unwrap_err();
    assert!(wrong.to_string().contains("does not have five fields"), "{wrong}");
}
