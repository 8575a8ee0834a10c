//! Jobs: every query.

use store::jobs::*;
use uuid::Uuid;

use crate::world::{World, at};

#[tokio::test]
async fn jobs() {
    let w = World::start().await;
    for (state, finished) in [("pending", None), ("failed", Some(at(1))), ("succeeded", Some(at(1)))] {
        sqlx::query(
            "insert into jobs (id, kind, subject, params, state, finished_at) values ($1, 'x', $1, '{}', $2, $3)",
        )
        .bind(Uuid::now_v7())
        .bind(state)
        .bind(finished)
        .execute(&w.db)
        .await
        .unwrap();
    }
    let states = async || job_list(&w.db).await.unwrap().into_iter().map(|j| j.state).collect::<Vec<_>>();
    assert_eq!(states().await, ["pending", "failed"]);
    job_sweep(&w.db, at(2)).await.unwrap();
    assert_eq!(states().await, ["pending"]);
}
