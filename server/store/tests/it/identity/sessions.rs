//! Sessions: every query.

use api::ids::{AccountId, SessionId, SignInLinkId};
use serde_json::json;
use store::sessions::*;

use crate::world::{World, all, at};

#[tokio::test]
async fn sessions() {
    let w = World::start().await;
    let row = Row {
        id: SessionId::now_v7(),
        key_hash: b"key".to_vec(),
        account_id: Some(w.account.id),
        data: json!({ "a": 1 }),
        user_agent: Some("Lynx".into()),
        address: None,
        created_at: at(0),
        last_seen_at: at(0),
        expires_at: at(100),
    };
    session_create(&w.db, &row).await.unwrap();
    session_update(&w.db, &Row { id: SessionId::now_v7(), data: json!({ "a": 2 }), ..row.clone() }).await.unwrap();
    let found = session_by_key(&w.db, b"key", at(99)).await.unwrap().unwrap();
    assert_eq!((found.id, found.data), (row.id, json!({ "a": 2 })));
    assert!(session_by_key(&w.db, b"key", at(100)).await.unwrap().is_none());
    session_seen(&w.db, row.id, at(30)).await.unwrap();
    session_seen(&w.db, row.id, at(90)).await.unwrap();
    assert_eq!(session_list(&w.db, w.account.id, at(95), &all(&LIST)).await.unwrap().rows[0].last_seen_at, at(90));
    assert!(session_exists(&w.db, row.id, at(99)).await.unwrap());
    assert_eq!(session_ends_at(&w.db, row.id, at(99)).await.unwrap(), Some(at(100)));
    // It expires even if it is used.
    let (day, key) = (86400, b"key");
    session_update(&w.db, &Row { expires_at: at(200 * day), ..row.clone() }).await.unwrap();
    assert!(session_by_key(&w.db, key, at(89 * day)).await.unwrap().is_some());
    assert!(session_by_key(&w.db, key, at(90 * day)).await.unwrap().is_none());
    session_update(&w.db, &row).await.unwrap();
    assert!(!session_exists(&w.db, row.id, at(100)).await.unwrap());
    assert!(!session_delete(&w.db, AccountId::now_v7(), row.id).await.unwrap());
    assert!(session_delete(&w.db, w.account.id, row.id).await.unwrap());
    session_update(&w.db, &row).await.unwrap();
    assert!(!session_exists(&w.db, row.id, at(1)).await.unwrap());
    session_create(&w.db, &row).await.unwrap();
    session_delete_key(&w.db, b"key").await.unwrap();
    assert!(!session_exists(&w.db, row.id, at(1)).await.unwrap());
    session_create(&w.db, &row).await.unwrap();
    session_sweep(&w.db, at(101)).await.unwrap();
    assert!(!session_exists(&w.db, row.id, at(1)).await.unwrap());
}

#[tokio::test]
async fn sessions_but_one() {
    let w = World::start().await;
    let row = |key: &[u8]| Row {
        id: SessionId::now_v7(),
        key_hash: key.to_vec(),
        account_id: Some(w.account.id),
        data: json!({}),
        user_agent: None,
        address: None,
        created_at: at(0),
        last_seen_at: at(0),
        expires_at: at(100),
    };
    let (kept, other) = (row(b"a"), row(b"b"));
    session_create(&w.db, &kept).await.unwrap();
    session_create(&w.db, &other).await.unwrap();
    sign_in_link_create(&w.db, SignInLinkId::now_v7(), w.account.id, None, b"secret", at(10), at(0)).await.unwrap();
    let mut db = w.db.acquire().await.unwrap();
    session_delete_others(&mut db, w.account.id, Some(kept.id)).await.unwrap();
    assert!(session_exists(&w.db, kept.id, at(1)).await.unwrap());
    assert!(!session_exists(&w.db, other.id, at(1)).await.unwrap());
    assert_eq!(sign_in_link_use(&w.db, b"secret", at(1)).await.unwrap(), None);
    session_delete_others(&mut db, w.account.id, None).await.unwrap();
    assert!(!session_exists(&w.db, kept.id, at(1)).await.unwrap());
}

#[tokio::test]
async fn sign_in_links() {
    let w = World::start().await;
    let id = SignInLinkId::now_v7();
    sign_in_link_create(&w.db, id, w.account.id, None, b"secret", at(10), at(0)).await.unwrap();
    assert_eq!(sign_in_link_use(&w.db, b"other", at(1)).await.unwrap(), None);
    assert_eq!(sign_in_link_use(&w.db, b"secret", at(10)).await.unwrap(), None);
    assert_eq!(sign_in_link_info(&w.db, b"secret", at(1)).await.unwrap(), Some((w.account.id, at(10))));
    assert_eq!(sign_in_link_info(&w.db, b"secret", at(10)).await.unwrap(), None);
    assert_eq!(sign_in_link_use(&w.db, b"secret", at(1)).await.unwrap(), Some(w.account.id));
    assert_eq!(sign_in_link_info(&w.db, b"secret", at(2)).await.unwrap(), None);
    assert_eq!(sign_in_link_use(&w.db, b"secret", at(2)).await.unwrap(), None);
}
