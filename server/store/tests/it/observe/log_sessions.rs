//! Log sessions: every query.

use api::ids::LogSessionId;
use serde_json::json;
use store::log_sessions::*;

use crate::world::{World, at};

#[tokio::test]
async fn log_sessions() {
    let w = World::start().await;
    let app_id = w.app("dusk").await;
    let id = LogSessionId::now_v7();
    let row = Row {
        id,
        app_id,
        params: json!({ "lines": 1 }),
        expires_at: at(10),
        opened_at: None,
        created_at: at(0),
        account_id: Some(w.account.id),
        credential_id: Some(id.get()),
    };
    log_session_create(&w.db, &row).await.unwrap();
    assert!(log_session_open(&w.db, id, at(10)).await.unwrap().is_none());
    assert!(log_session_open(&w.db, id, at(9)).await.unwrap().is_some());
    let again = log_session_open(&w.db, id, at(100)).await.unwrap().unwrap();
    assert_eq!((again.opened_at, again.params), (Some(at(9)), row.params));
    assert_eq!((again.account_id, again.credential_id), (row.account_id, row.credential_id));
    log_session_sweep(&w.db, at(1)).await.unwrap();
    assert!(log_session_open(&w.db, id, at(9)).await.unwrap().is_none());
}
