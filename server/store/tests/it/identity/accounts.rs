//! Accounts and the invitation policy: every query.

use api::{
    ids::{AccountId, TeamId, TeamInvitationId},
    invitation_policy::Inviters,
    team_members::{GrantedBy, Role},
};
use store::{
    accounts::*,
    invitation_policy::{invitation_policy_info, invitation_policy_update},
};

use crate::world::{World, account, all, at};

#[tokio::test]
async fn accounts() {
    let w = World::start().await;
    let found = account_by_email(&w.db, "ADA@example.com").await.unwrap().unwrap();
    assert_eq!(found.id, w.account.id);
    let twice = account_create(&w.db, &account("Ada@Example.com")).await.unwrap_err();
    assert_eq!(store::broken_constraint(&twice).as_deref(), Some("accounts_email_key"));

    assert!(!account_invite(&w.db, &account("ada@EXAMPLE.com")).await.unwrap());
    assert_eq!(account_by_email(&w.db, "ada@example.com").await.unwrap().unwrap().id, w.account.id);
    assert!(account_invite(&w.db, &account("bob@example.com")).await.unwrap());
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
    assert!(account_info_any(&w.db, w.account.id).await.unwrap().is_some());
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

#[tokio::test]
async fn accounts_that_were_invited() {
    let w = World::start().await;
    let (bob, team, now) = (account("bob@example.com"), TeamId::now_v7(), at(5));
    let invited = async || account_is_invited(&w.db, bob.id).await.unwrap();
    assert_eq!(invited().await, None);
    account_invite(&w.db, &bob).await.unwrap();
    store::teams::team_create(&w.db, team, "acme", w.account.id, at(0)).await.unwrap();
    let new = store::team_invitations::New {
        id: TeamInvitationId::now_v7(),
        team,
        account: bob.id,
        role: Role::Viewer,
        invited_by: w.account.id,
        expires_at: at(10),
        now: at(0),
    };
    store::team_invitations::team_invitation_save(&w.db, &new).await.unwrap();
    assert_eq!(account_hold_invited_by_team(&w.db, team).await.unwrap(), [bob.id]);
    let mut db = w.db.acquire().await.unwrap();
    assert!(!account_delete_uninvited(&mut db, bob.id, now).await.unwrap());
    assert!(account_delete_all_uninvited(&w.db, &[bob.id, w.account.id], now).await.unwrap().is_empty());
    assert!(account_list_uninvited(&w.db, now).await.unwrap().is_empty());
    assert_eq!(account_list_uninvited(&w.db, at(10)).await.unwrap()[0].id, bob.id);
    assert!(account_delete_uninvited(&mut db, bob.id, at(10)).await.unwrap());
    // Accounts that have signed in stay.
    account_invite(&w.db, &bob).await.unwrap();
    account_signed_in(&w.db, bob.id, now).await.unwrap();
    assert_eq!(invited().await, Some(false));
    assert!(!account_delete_uninvited(&mut db, bob.id, at(10)).await.unwrap());
    assert_eq!(account_admin_by(&w.db, bob.id).await.unwrap(), None);
    assert!(!account_administrators(&w.db, &[bob.id]).await.unwrap().contains(&bob.id));
    account_set_admin(&w.db, bob.id, true, GrantedBy::Person, now).await.unwrap();
    assert_eq!(account_administrators(&w.db, &[bob.id, AccountId::nil()]).await.unwrap(), [bob.id]);
    assert_eq!(account_admin_by(&w.db, bob.id).await.unwrap(), Some(GrantedBy::Person));
    assert!(!account_is_retired(&w.db, bob.id).await.unwrap());
    account_end_credentials(&mut db, bob.id).await.unwrap();
}

#[tokio::test]
async fn the_policy() {
    let w = World::start().await;
    let row = invitation_policy_info(&w.db).await.unwrap();
    assert_eq!((row.who, row.domains.len()), (Inviters::Administrators, 0));
    let row = store::invitation_policy::Row { who: Inviters::Domains, domains: vec!["acme.test".into()] };
    invitation_policy_update(&w.db, &row, at(1)).await.unwrap();
    assert_eq!(invitation_policy_info(&w.db).await.unwrap().domains, ["acme.test"]);
}
