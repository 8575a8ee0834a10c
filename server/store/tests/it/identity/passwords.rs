//! Passwords and recovery codes: every query.

use api::ids::{AccountId, PasswordId, RecoveryCodeId};
use store::passwords::*;

use crate::world::{World, at};

fn row(account_id: AccountId, hash: &str) -> Row {
    Row {
        id: PasswordId::now_v7(),
        account_id,
        hash: hash.into(),
        secret: vec![1],
        last_step: 0,
        confirmed_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

#[tokio::test]
async fn passwords() {
    let w = World::start().await;
    assert_eq!(password_policy_info(&w.db).await.unwrap(), (false, 0));
    password_policy_update(&w.db, true, at(1)).await.unwrap();
    assert!(password_create(&w.db, &row(w.account.id, "a")).await.unwrap());
    // Started again; the previous one is gone.
    let begun = row(w.account.id, "b");
    assert!(password_create(&w.db, &begun).await.unwrap());
    assert!(!password_step_use(&w.db, &begun, 5).await.unwrap());
    assert_eq!(password_policy_info(&w.db).await.unwrap(), (true, 0));
    assert!(password_confirm(&w.db, begun.id, 5, at(2)).await.unwrap());
    assert!(!password_confirm(&w.db, begun.id, 6, at(2)).await.unwrap());
    assert!(!password_create(&w.db, &row(w.account.id, "c")).await.unwrap());
    let found = password_by_account(&w.db, w.account.id).await.unwrap().unwrap();
    assert_eq!((found.id, found.hash.as_str(), found.last_step, found.confirmed_at), (begun.id, "b", 5, Some(at(2))));
    // A time step is accepted once, and none before it.
    assert!(!password_step_use(&w.db, &found, 5).await.unwrap());
    assert!(password_step_use(&w.db, &found, 7).await.unwrap());
    assert!(!password_step_use(&w.db, &found, 6).await.unwrap());
    password_update(&w.db, found.id, "d", at(3)).await.unwrap();
    assert!(!password_step_use(&w.db, &found, 8).await.unwrap());
    password_sweep(&w.db, at(9)).await.unwrap();
    assert_eq!(password_policy_info(&w.db).await.unwrap(), (true, 1));
    assert!(password_delete(&w.db, w.account.id).await.unwrap());
    assert!(!password_delete(&w.db, w.account.id).await.unwrap());
    password_create(&w.db, &begun).await.unwrap();
    password_sweep(&w.db, at(9)).await.unwrap();
    assert!(password_by_account(&w.db, w.account.id).await.unwrap().is_none());
}

#[tokio::test]
async fn recovery_codes() {
    let w = World::start().await;
    let password = row(w.account.id, "a");
    password_create(&w.db, &password).await.unwrap();
    let mut db = w.db.acquire().await.unwrap();
    let codes =
        |names: &[&str]| names.iter().map(|n| (RecoveryCodeId::now_v7(), n.as_bytes().to_vec())).collect::<Vec<_>>();
    recovery_codes_replace(&mut db, password.id, &codes(&["x"]), at(1)).await.unwrap();
    recovery_codes_replace(&mut db, password.id, &codes(&["y", "z"]), at(1)).await.unwrap();
    assert_eq!(recovery_code_count(&w.db, password.id).await.unwrap(), 2);
    assert!(!recovery_code_exists(&w.db, password.id, b"x").await.unwrap());
    assert!(recovery_code_exists(&w.db, password.id, b"y").await.unwrap());
    assert!(!recovery_code_use(&w.db, &password, b"y", at(2)).await.unwrap());
    password_confirm(&w.db, password.id, 1, at(2)).await.unwrap();
    assert!(recovery_code_use(&w.db, &password, b"y", at(2)).await.unwrap());
    assert!(!recovery_code_use(&w.db, &password, b"y", at(3)).await.unwrap());
    assert!(!recovery_code_exists(&w.db, password.id, b"y").await.unwrap());
    let other = Row { hash: "changed".into(), ..password.clone() };
    assert!(!recovery_code_use(&w.db, &other, b"z", at(3)).await.unwrap());
    assert_eq!(recovery_code_count(&w.db, password.id).await.unwrap(), 1);
}
