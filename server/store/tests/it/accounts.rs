//! Accounts: every query.

use store::accounts::*;

use crate::world::{World, account, all, at};

#[tokio::test]
async fn accounts() {
    let w = World::start().await;
    let found = account_by_email(&w.db, "ADA@example.com").await.unwrap().unwrap();
    assert_eq!(found.id, w.account.id);
    let twice = account_create(&w.db, &account("Ada@Example.com")).await.unwrap_err();
    assert_eq!(store::broken_constraint(&twice).as_deref(), Some("accounts_email_key"));

    account_ensure(&w.db, &account("ada@EXAMPLE.com")).await.unwrap();
    assert_eq!(account_by_email(&w.db, "ada@example.com").await.unwrap().unwrap().id, w.account.id);
    account_ensure(&w.db, &account("bob@example.com")).await.unwrap();
    assert!(account_by_email(&w.db, "bob@example.com").await.unwrap().is_some());

    assert!(account_first_admin(&w.db).await.unwrap().is_none());
    let admin = Row { admin: true, ..account("root@example.com") };
    account_create(&w.db, &admin).await.unwrap();
    assert_eq!(account_first_admin(&w.db).await.unwrap().unwrap().id, admin.id);

    account_rename(&w.db, w.account.id, Some("Ada"), at(5)).await.unwrap();
    account_signed_in(&w.db, w.account.id, at(6)).await.unwrap();
    let now = account_info(&w.db, w.account.id).await.unwrap().unwrap();
    assert_eq!((now.name.as_deref(), now.updated_at, now.last_login), (Some("Ada"), at(5), Some(at(6))));

    account_suspend(&w.db, w.account.id, Some(at(7))).await.unwrap();
    assert!(account_info(&w.db, w.account.id).await.unwrap().is_none());
    assert!(account_even_suspended(&w.db, w.account.id).await.unwrap().is_some());
    let listed: Vec<_> = account_list(&w.db, &all(&LIST))
        .await
        .unwrap()
        .rows
        .into_iter()
        .map(|a| (a.row.email, a.suspended_at))
        .collect();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0], ("ada@example.com".into(), Some(at(7))));
    account_suspend(&w.db, w.account.id, None).await.unwrap();
    assert!(account_info(&w.db, w.account.id).await.unwrap().is_some());
}
