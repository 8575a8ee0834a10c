//! Attempts to take all connections to the database.

use serde_json::json;

use crate::world::{World, until};

/// Connections that wait for a lock.
async fn waiting(t: &World) -> i64 {
    let text = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    sqlx::query_scalar(text).fetch_one(&t.db).await.unwrap()
}

#[tokio::test]
async fn requests_that_wait_for_their_app_leave_connections_to_others() {
    let t = World::start().await;
    let app = t.app("busy").await;
    let slug = t.slug("busy", &[("web", "./server")]).await;
    let mut held = t.db.begin().await.unwrap();
    store::apps::app_lock(&mut *held, app.id).await.unwrap();
    let release = || t.owner.post("/apps/busy/releases", json!({ "slug": slug }));
    let asked = futures::future::join_all((0..40).map(|_| release()));
    let others = async {
        until("they wait for the app", async || if waiting(&t).await >= 6 { Ok(()) } else { Err(String::new()) }).await;
        assert_eq!(t.stranger.get("/apps").await.status, 200);
        assert_eq!(t.stranger.post("/apps", json!({ "name": "other" })).await.status, 201);
        assert_eq!(waiting(&t).await, 6);
        held.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(asked, others);
    // They had to wait, and nothing else: none of them needs a connection that another one has.
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
}
