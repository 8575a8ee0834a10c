//! Payers: every query.

use std::collections::HashMap;

use api::{
    ids::{AccountId, AppId, TeamId, TeamMemberId},
    team_members::Role,
};
use store::{accounts, payers::*, service_accounts, team_members::*, teams::*};

use crate::world::{World, account, at};

#[tokio::test]
async fn who_made_a_team_pays_until_somebody_takes_over() {
    let w = World::start().await;
    let (ada, bob, bot) = (w.account.id, account("bob@example.com"), account("bot@acme.invalid"));
    accounts::account_create(&w.db, &bob).await.unwrap();
    accounts::account_create(&w.db, &bot).await.unwrap();
    let (acme, own, app) = (TeamId::now_v7(), w.app("own").await, w.app("dusk").await);
    team_create(&w.db, acme, "acme", ada, at(0)).await.unwrap();
    let role = async |who, role| team_member_save(&w.db, TeamMemberId::now_v7(), acme, who, role, at(0)).await.unwrap();
    role(ada, Role::Admin).await;
    role(bob.id, Role::Admin).await;
    service_accounts::service_account_create(&w.db, bot.id, acme, "bot", bob.id, at(0)).await.unwrap();
    role(bot.id, Role::Member).await;
    store::apps::app_set_owner(&w.db, app, None, Some(acme), at(0)).await.unwrap();
    // The payers of her own app, of the team's app and of the service account.
    let paid = async || {
        let bots = payer_of_account(&w.db, bot.id).await.unwrap();
        if let Some(found) = payer_and_account(&w.db, bot.id).await.unwrap() {
            assert_eq!(Some(found.payer), bots);
        }
        let apps = (payer_of_app(&w.db, own).await.unwrap(), payer_of_app(&w.db, app).await.unwrap());
        [apps.0, apps.1, bots].map(Option::unwrap)
    };
    assert_eq!(paid().await, [ada, ada, bob.id]);
    // A user who left, or is no longer an admin, does not pay for the service accounts of others.
    team_member_delete(&mut w.db.acquire().await.unwrap(), acme, bob.id).await.unwrap();
    assert_eq!(paid().await, [ada, ada, ada]);
    role(bob.id, Role::Admin).await;
    // A team never has a separate share.
    role(ada, Role::Viewer).await;
    assert_eq!(paid().await, [ada, ada, bob.id]);
    accounts::account_suspend(&w.db, ada, Some(at(1))).await.unwrap();
    assert_eq!(paid().await, [ada, ada, bob.id]);
    let is_let_in = async || {
        let found = payer_and_account(&w.db, bot.id).await.unwrap();
        assert_eq!(accounts::account_info(&w.db, bot.id).await.unwrap().is_some(), found.is_some());
        found.is_some()
    };
    assert!(is_let_in().await);
    accounts::account_suspend(&w.db, bob.id, Some(at(1))).await.unwrap();
    assert_eq!(paid().await, [ada, ada, ada]);
    // A suspended user cannot continue as a service account,
    assert!(!is_let_in().await);
    // even if there is another admin,
    accounts::account_suspend(&w.db, ada, None).await.unwrap();
    role(ada, Role::Admin).await;
    assert!(!is_let_in().await);
    // unless that admin is responsible for it.
    let mut db = w.db.acquire().await.unwrap();
    assert!(!team_take_over(&mut db, acme, bob.id, ada).await.unwrap());
    assert!(is_let_in().await);
    assert_eq!(paid().await, [ada, ada, ada]);
    accounts::account_suspend(&w.db, ada, Some(at(1))).await.unwrap();
    accounts::account_suspend(&w.db, bob.id, None).await.unwrap();
    assert!(!is_let_in().await);
    role(ada, Role::Viewer).await;
    team_take_over(&mut db, acme, ada, bob.id).await.unwrap();
    assert!(is_let_in().await);
    sqlx::query("update teams set created_by = $1").bind(ada).execute(&w.db).await.unwrap();
    // Only an admin can take over, and only from the creator.
    for (maker, by) in [(ada, bot.id), (bot.id, bob.id)] {
        assert!(!team_take_over(&mut db, acme, maker, by).await.unwrap());
        assert_eq!(paid().await, [ada, ada, bob.id]);
    }
    assert!(team_take_over(&mut db, acme, ada, bob.id).await.unwrap());
    assert_eq!(paid().await, [ada, bob.id, bob.id]);
    // As an earlier version of the server creates teams.
    sqlx::query("update teams set created_by = null").execute(&w.db).await.unwrap();
    assert_eq!(paid().await, [ada, bob.id, bob.id]);
    sqlx::query("delete from team_members").execute(&w.db).await.unwrap();
    assert_eq!(paid().await, [ada, AccountId::nil(), AccountId::nil()]);
    assert!(!is_let_in().await, "nobody answers for it");

    let all = payers_of_apps(&w.db, None).await.unwrap();
    assert!(!all.is_empty());
    for (app, payer) in all {
        assert_eq!(payer_of_app(&w.db, app).await.unwrap(), Some(payer));
        assert_eq!(payers_of_apps(&w.db, Some(&[app])).await.unwrap(), HashMap::from([(app, payer)]));
    }
    assert_eq!(payer_of_account(&w.db, bob.id).await.unwrap(), Some(bob.id));
    assert_eq!(payer_of_account(&w.db, AccountId::now_v7()).await.unwrap(), None);
    assert!(payer_and_account(&w.db, ada).await.unwrap().is_none(), "nobody is let in with it");
    assert_eq!(payer_of_app(&w.db, AppId::now_v7()).await.unwrap(), None);
}
