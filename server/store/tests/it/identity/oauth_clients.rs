//! OAuth clients, their codes and grants: every query.

use api::ids::{AuthorizationId, OauthClientId, OauthCodeId};
use store::{authorizations, oauth_clients::*};

use crate::world::{World, all, at};

#[tokio::test]
async fn oauth_clients() {
    let w = World::start().await;
    let row = Row {
        id: OauthClientId::now_v7(),
        account_id: w.account.id,
        name: "Bot".into(),
        redirect_uri: "https://example.com".into(),
        secret: vec![1],
        secret_hash: vec![2],
        created_at: at(0),
        updated_at: at(0),
    };
    oauth_client_create(&w.db, &row).await.unwrap();
    oauth_client_update(&w.db, &Row { name: "Other".into(), secret_hash: vec![3], ..row.clone() }).await.unwrap();
    assert!(oauth_client_by_secret(&w.db, &[2]).await.unwrap().is_none());
    assert_eq!(oauth_client_by_secret(&w.db, &[3]).await.unwrap().unwrap().name, "Other");
    assert_eq!(oauth_client_list(&w.db, w.account.id, &all(&LIST)).await.unwrap().rows.len(), 1);

    let code = Code {
        id: OauthCodeId::now_v7(),
        client_id: row.id,
        account_id: w.account.id,
        code_hash: vec![4],
        scope: vec!["read".into()],
        redirect_uri: row.redirect_uri.clone(),
        challenge: None,
        authorization_id: None,
        used_at: None,
        expires_at: at(9),
        created_at: at(0),
        updated_at: at(0),
    };
    oauth_code_create(&w.db, &code).await.unwrap();
    let grant = authorizations::Row {
        id: AuthorizationId::now_v7(),
        account_id: w.account.id,
        description: "Bot".into(),
        scope: vec!["read".into()],
        token_hash: vec![5],
        hint: "hint".into(),
        expires_at: Some(at(5)),
        last_used_at: None,
        client_id: None,
        parent_id: None,
        apps: None,
        created_at: at(0),
        updated_at: at(0),
    };
    authorizations::authorization_create(&w.db, &grant).await.unwrap();
    oauth_grant_create(&w.db, grant.id, row.id, &[6]).await.unwrap();
    oauth_code_used(&w.db, code.id, Some(grant.id), at(1)).await.unwrap();
    let used = oauth_code_by_hash(&w.db, &[4]).await.unwrap().unwrap();
    assert_eq!((used.used_at, used.authorization_id), (Some(at(1)), Some(grant.id)));
    // It is renewable, so it is listed even after its token has expired.
    let listed = all(&authorizations::LIST);
    let listed = authorizations::authorization_list(&w.db, w.account.id, at(7), &listed).await.unwrap().rows;
    assert_eq!((listed.len(), listed[0].client_name.as_deref()), (1, Some("Other")));
    let found = authorizations::authorization_info(&w.db, w.account.id, grant.id, at(7)).await.unwrap();
    assert_eq!(found.unwrap().client_id, Some(row.id));
    assert!(oauth_grant_refresh(&w.db, OauthClientId::nil(), &[6], &[7], "h", at(20), at(8)).await.unwrap().is_none());
    let (id, account, scope) =
        oauth_grant_refresh(&w.db, row.id, &[6], &[7], "h", at(20), at(8)).await.unwrap().unwrap();
    assert_eq!((id, account, scope), (grant.id, w.account.id, vec!["read".to_owned()]));
    assert!(authorizations::authorization_by_token(&w.db, &[7], at(9)).await.unwrap().is_some());
    assert_eq!(oauth_grant_delete(&w.db, row.id, &[8]).await.unwrap(), None);
    assert_eq!(oauth_grant_delete(&w.db, row.id, &[7]).await.unwrap(), Some((grant.id, w.account.id)));
    let mut db = w.db.acquire().await.unwrap();
    assert!(oauth_client_accounts(&mut db, row.id).await.unwrap().is_empty());
    oauth_code_sweep(&w.db, at(10)).await.unwrap();
    assert!(oauth_code_by_hash(&w.db, &[4]).await.unwrap().is_none());
    oauth_client_delete(&w.db, row.id).await.unwrap();
    assert!(oauth_client_info(&w.db, row.id).await.unwrap().is_none());
}

#[tokio::test]
async fn of_many_grants_the_newest_stay() {
    let w = World::start().await;
    let mut clients = Vec::new();
    for n in 0..2 {
        let row = Row {
            id: OauthClientId::now_v7(),
            account_id: w.account.id,
            name: "Bot".into(),
            redirect_uri: "https://example.com".into(),
            secret: vec![n],
            secret_hash: vec![n],
            created_at: at(0),
            updated_at: at(0),
        };
        oauth_client_create(&w.db, &row).await.unwrap();
        clients.push(row.id);
    }
    let mut grants = Vec::new();
    for n in 0..6_u8 {
        let grant = authorizations::Row {
            id: AuthorizationId::now_v7(),
            account_id: w.account.id,
            description: "Bot".into(),
            scope: vec!["read".into()],
            token_hash: vec![n],
            hint: "hint".into(),
            expires_at: Some(at(5)),
            last_used_at: None,
            client_id: None,
            parent_id: None,
            apps: None,
            created_at: at(n.into()),
            updated_at: at(0),
        };
        authorizations::authorization_create(&w.db, &grant).await.unwrap();
        if n > 0 {
            oauth_grant_create(&w.db, grant.id, clients[usize::from(n % 2)], &[n]).await.unwrap();
        }
        grants.push(grant.id);
    }
    // 0 belongs to no client; 1, 3, 5 belong to the second one, 2 and 4 to the first one.
    let left = async || {
        let mut found = Vec::new();
        for id in &grants {
            found.push(authorizations::authorization_exists(&w.db, *id, at(4)).await.unwrap());
        }
        found
    };
    let mut db = w.db.acquire().await.unwrap();
    assert_eq!(oauth_client_accounts(&mut db, clients[1]).await.unwrap(), [w.account.id]);
    assert!(!oauth_grant_trim(&w.db, w.account.id, clients[1], 3, 9).await.unwrap());
    assert!(oauth_grant_trim(&w.db, w.account.id, clients[1], 2, 9).await.unwrap());
    assert_eq!(left().await, [true, false, true, true, true, true]);
    assert!(oauth_grant_trim(&w.db, w.account.id, clients[1], 2, 2).await.unwrap());
    assert_eq!(left().await, [true, false, false, false, true, true]);
}
