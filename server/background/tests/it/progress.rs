//! Progress: bounded, and written at most once a second, however often it is reported.

use async_trait::async_trait;
use background::{Cancel, Failure, Job, Registry, Steps, enqueue, run_next};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

/// Reports more often than it is written.
#[derive(Serialize, Deserialize)]
struct Count(Uuid);

#[async_trait]
impl Job for Count {
    const KIND: &'static str = "test.count";
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = PgPool;

    fn subject(&self) -> Uuid {
        self.0
    }

    async fn run(&self, pool: &PgPool, steps: &mut Steps) -> Result<(), Failure> {
        let progress = steps.progress();
        for n in 0..2000 {
            progress.report(Some(f64::from(n) / 1000.0), &format!("{n} {}", "x".repeat(1000)));
            // Lets the writer run.
            sqlx::query("select 1").execute(pool).await?;
        }
        Ok(())
    }

    async fn give_up(&self, _: &PgPool, _: &anyhow::Error) -> anyhow::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_reported_often_is_written_now_and_then_and_in_the_end() {
    let pool = store::testing::pool().await;
    sqlx::raw_sql(
        "create table writes (at timestamptz not null default clock_timestamp());
         create function count_write() returns trigger language plpgsql as
             $$ begin insert into writes default values; return null; end $$;
         create trigger count_writes after update of progress on jobs for each row execute function count_write()",
    )
    .execute(&pool)
    .await
    .unwrap();
    let job = Count(Uuid::now_v7());
    enqueue(&mut pool.acquire().await.unwrap(), &job).await.unwrap();
    let registry = Registry::default().with::<Count>(pool.clone());
    assert!(run_next(&pool, &registry).await.unwrap());
    let (progress, note): (f64, String) =
        sqlx::query_as("select progress, note from jobs").fetch_one(&pool).await.unwrap();
    assert_eq!((progress, note.chars().count(), note.starts_with("1999 ")), (1.0, 200, true));
    let (writes, seconds): (i64, f64) =
        sqlx::query_as("select count(*), extract(epoch from max(at) - min(at))::float8 from writes")
            .fetch_one(&pool)
            .await
            .unwrap();
    // One per second, and one at the end.
    assert!(writes as f64 <= seconds + 2.0, "{writes} writes in {seconds} s");
}
