//! Log drains: every query.

use store::log_drains::*;
use uuid::Uuid;

use crate::world::{World, all, at};

#[tokio::test]
async fn log_drains() {
    let w = World::start().await;
    let app_id = w.app("dusk").await;
    let row = || Row {
        id: Uuid::now_v7(),
        app_id,
        url: "https://x".into(),
        token: "d.1".into(),
        created_at: at(0),
        updated_at: at(0),
    };
    let first = row();
    log_drain_create(&w.db, &first).await.unwrap();
    let twice = log_drain_create(&w.db, &row()).await.unwrap_err();
    assert_eq!(store::broken_constraint(&twice).as_deref(), Some("log_drains_url_key"));
    assert_eq!(log_drain_list(&w.db, app_id, &all(&LIST)).await.unwrap().rows[0].id, first.id);
    log_drain_delete(&w.db, first.id).await.unwrap();
    assert_eq!(log_drain_count(&w.db, app_id).await.unwrap(), 0);
    assert!(log_drain_info(&w.db, app_id, &first.token).await.unwrap().is_none());
}
