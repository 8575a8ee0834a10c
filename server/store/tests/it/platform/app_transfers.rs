//! App transfers: every query.

use api::{
    app_transfers::TransferState,
    ids::{AccountId, AppTransferId},
};
use store::{accounts, app_transfers::*};

use crate::world::{World, account, all, at};

#[tokio::test]
async fn app_transfers() {
    let w = World::start().await;
    let (app, ada, bob) = (w.app("dusk").await, w.account.id, account("bob@example.com"));
    accounts::account_create(&w.db, &bob).await.unwrap();
    let (id, again) = (AppTransferId::now_v7(), AppTransferId::now_v7());
    app_transfer_create(&w.db, id, app, ada, bob.id, at(0)).await.unwrap();
    let twice = app_transfer_create(&w.db, again, app, ada, bob.id, at(1)).await.unwrap_err();
    assert_eq!(store::broken_constraint(&twice).as_deref(), Some("app_transfers_pending_key"));
    for who in [ada, bob.id] {
        assert_eq!(app_transfer_list(&w.db, who, &all(&LIST)).await.unwrap().rows.len(), 1);
        let found = app_transfer_info(&w.db, who, "dusk").await.unwrap().unwrap();
        assert_eq!(
            (found.owner_email.as_str(), found.recipient_email.as_str()),
            ("ada@example.com", "bob@example.com")
        );
    }
    assert!(app_transfer_info(&w.db, AccountId::nil(), &id.to_string()).await.unwrap().is_none());
    assert!(app_transfer_end(&w.db, id, TransferState::Declined, at(2)).await.unwrap());
    assert!(!app_transfer_end(&w.db, id, TransferState::Accepted, at(3)).await.unwrap());
    assert_eq!(app_transfer_info(&w.db, ada, &id.to_string()).await.unwrap().unwrap().state, TransferState::Declined);
    // Only pending transfers are withdrawn; completed ones remain.
    assert!(!app_transfer_delete(&w.db, id).await.unwrap());
    app_transfer_create(&w.db, again, app, ada, bob.id, at(4)).await.unwrap();
    assert!(app_transfer_delete(&w.db, again).await.unwrap());
    app_transfer_create(&w.db, again, app, ada, bob.id, at(5)).await.unwrap();
    app_transfer_delete_pending(&w.db, app).await.unwrap();
    assert_eq!(app_transfer_companions(&w.db, &[ada], &[bob.id, ada]).await.unwrap(), [(ada, bob.id)]);
    assert_eq!(app_transfer_companions(&w.db, &[bob.id], &[ada]).await.unwrap(), [(bob.id, ada)]);
    assert!(app_transfer_companions(&w.db, &[AccountId::nil()], &[ada, bob.id]).await.unwrap().is_empty());
    assert_eq!(app_transfer_owners(&w.db, &[bob.id]).await.unwrap(), [ada]);
    assert!(app_transfer_owners(&w.db, &[ada]).await.unwrap().is_empty());
    let left = app_transfer_list(&w.db, ada, &all(&LIST)).await.unwrap().rows;
    assert_eq!(left.iter().map(|t| t.id).collect::<Vec<_>>(), [id]);
}
