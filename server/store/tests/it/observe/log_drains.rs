//! Log drains: every query.

use api::ids::LogDrainId;
use store::log_drains::*;

use crate::world::{World, all, at};

#[tokio::test]
async fn log_drains() {
    let w = World::start().await;
    let app_id = w.app("dusk").await;
    let row = || Row {
        id: LogDrainId::now_v7(),
        app_id,
        url: "https://x".into(),
        token: "d.1".into(),
        sealed: None,
        created_at: at(0),
        updated_at: at(0),
    };
    let first = row();
    log_drain_create(&w.db, &first).await.unwrap();
    let twice = log_drain_create(&w.db, &row()).await.unwrap_err();
    assert_eq!(store::broken_constraint(&twice).as_deref(), Some("log_drains_url_key"));
    assert_eq!(log_drain_list(&w.db, app_id, &all(&LIST)).await.unwrap().rows[0].id, first.id);
    assert_eq!(log_drain_open(&w.db, LogDrainId::nil(), 10).await.unwrap().len(), 1);
    let sealed = Row { url: "print".into(), token: "of the token".into(), sealed: Some(vec![1]), ..first.clone() };
    log_drain_seal(&w.db, &sealed).await.unwrap();
    assert!(log_drain_open(&w.db, LogDrainId::nil(), 10).await.unwrap().is_empty());
    for (which, fingerprint) in
        [(first.id.to_string(), ""), ("https://x".into(), "print"), ("d.1".into(), "of the token")]
    {
        let found = log_drain_info(&w.db, app_id, &which, &[fingerprint.to_owned()]).await.unwrap();
        assert_eq!(found.unwrap().sealed, sealed.sealed);
    }
    log_drain_delete(&w.db, first.id).await.unwrap();
    assert_eq!(log_drain_count(&w.db, app_id).await.unwrap(), 0);
    assert!(log_drain_info(&w.db, app_id, &first.token, &["of the token".to_owned()]).await.unwrap().is_none());
}
