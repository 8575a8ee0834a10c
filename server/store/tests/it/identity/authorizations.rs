//! Authorizations: every query.

use api::ids::{AccountId, AppId, AuthorizationId};
use store::authorizations::*;

use crate::world::{World, all, at};

#[tokio::test]
async fn authorizations() {
    let w = World::start().await;
    let row = Row {
        id: AuthorizationId::now_v7(),
        account_id: w.account.id,
        description: "CI".into(),
        scope: vec!["global".into()],
        token_hash: b"hash".to_vec(),
        hint: "w***x".into(),
        expires_at: Some(at(100)),
        last_used_at: None,
        client_id: None,
        parent_id: None,
        apps: None,
        created_at: at(0),
        updated_at: at(0),
    };
    authorization_create(&w.db, &row).await.unwrap();
    assert!(authorization_by_token(&w.db, b"hash", at(99)).await.unwrap().is_some());
    assert!(authorization_by_token(&w.db, b"hash", at(100)).await.unwrap().is_none());
    assert_eq!(authorization_list(&w.db, w.account.id, at(99), &all(&LIST)).await.unwrap().rows.len(), 1);
    assert!(authorization_list(&w.db, w.account.id, at(100), &all(&LIST)).await.unwrap().rows.is_empty());

    assert!(authorization_exists(&w.db, row.id, at(99)).await.unwrap());
    assert_eq!(authorization_ends_at(&w.db, row.id, at(99)).await.unwrap(), Some(Some(at(100))));
    assert_eq!(authorization_ends_at(&w.db, row.id, at(100)).await.unwrap(), None);
    assert!(!authorization_exists(&w.db, row.id, at(100)).await.unwrap());

    authorization_used(&w.db, row.id, at(10)).await.unwrap();
    authorization_used(&w.db, row.id, at(20)).await.unwrap();
    authorization_describe(&w.db, row.id, "CD", at(21)).await.unwrap();
    authorization_rotate(&w.db, row.id, b"other", "w***y", at(22)).await.unwrap();
    assert!(authorization_by_token(&w.db, b"hash", at(30)).await.unwrap().is_none());
    let now = authorization_by_token(&w.db, b"other", at(30)).await.unwrap().unwrap();
    assert_eq!((now.last_used_at, now.description.as_str(), now.hint.as_str()), (Some(at(10)), "CD", "w***y"));
    let mut db = w.db.acquire().await.unwrap();
    assert_eq!(authorization_count(&mut db, AccountId::now_v7(), at(100)).await.unwrap(), 0);
    assert_eq!(authorization_count(&mut db, w.account.id, at(99)).await.unwrap(), 1);
    assert_eq!(authorization_count(&mut db, w.account.id, at(100)).await.unwrap(), 0);
    assert!(!authorization_exists(&w.db, row.id, at(99)).await.unwrap(), "what has expired is not kept");
    authorization_create(&w.db, &Row { token_hash: b"other".to_vec(), ..row.clone() }).await.unwrap();
    authorization_delete(&w.db, row.id).await.unwrap();
    assert!(authorization_by_token(&w.db, b"other", at(30)).await.unwrap().is_none());
    let apps = Some(vec![AppId::now_v7(), AppId::now_v7()]);
    authorization_create(&w.db, &Row { apps: apps.clone(), ..row.clone() }).await.unwrap();
    assert_eq!(authorization_by_token(&w.db, b"hash", at(30)).await.unwrap().unwrap().apps, apps);
}
