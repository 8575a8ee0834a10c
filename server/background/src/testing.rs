//! Proves that a job survives a crash at every point where it could crash.

use sqlx::PgPool;

use crate::{Job, Registry, crash_point, enqueue, run_next};

/// Runs `job` to its end once for every crash point it has, crashing there, and calls `check`
/// on the world each time. Returns how many points there were.
///
/// A crash point is before a step, after its effect but before it is recorded, and after it is
/// recorded. Call it from a single-threaded runtime.
///
/// # Panics
/// When a job does not succeed after a crash; the message names the point.
pub async fn survives_a_crash_anywhere<J: Job>(
    pool: &PgPool,
    cx: J::Context,
    mut fresh: impl AsyncFnMut() -> J,
    mut check: impl AsyncFnMut(&J),
) -> usize {
    let mut crash_at = 0;
    loop {
        let job = fresh().await;
        let mut db = pool.acquire().await.expect("a connection");
        enqueue(&mut db, &job).await.expect("enqueue the job");
        drop(db);
        let registry = Registry::default().with::<J>(cx.clone());

        crash_point::plan(crash_at);
        assert!(run_next(pool, &registry).await.expect("run the job"));
        // The server that crashed is gone; its lease runs out.
        sqlx::query("update jobs set lease_until = now() - interval '1s' where state = 'running'")
            .execute(pool)
            .await
            .expect("expire the lease");
        run_next(pool, &registry).await.expect("run the job again");

        let (state, error): (String, Option<String>) =
            sqlx::query_as("select state, error from jobs where kind = $1 and subject = $2")
                .bind(J::KIND)
                .bind(job.subject())
                .fetch_one(pool)
                .await
                .expect("the job's row");
        assert_eq!(state, "succeeded", "crashed at point {crash_at}: {error:?}");
        check(&job).await;

        crash_at += 1;
        if crash_point::reached() <= crash_at {
            return crash_at;
        }
    }
}
