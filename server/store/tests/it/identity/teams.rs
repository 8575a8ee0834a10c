//! Teams, members, invitations and service accounts: every query.

use api::{
    ids::{AccountId, CollaboratorId, TeamId, TeamInvitationId, TeamMemberId},
    team_members::Role,
};
use store::{accounts, service_accounts::*, team_invitations::*, team_members::*, teams::*};

use crate::world::{World, account, all, at};

async fn team(w: &World, name: &str) -> TeamId {
    let id = TeamId::now_v7();
    team_create(&w.db, id, name, w.account.id, at(0)).await.unwrap();
    id
}

async fn members(w: &World, team: TeamId) -> Vec<store::team_members::Row> {
    team_member_list(&w.db, team, &all(&store::team_members::LIST)).await.unwrap().rows
}

#[tokio::test]
async fn teams_and_their_members() {
    let w = World::start().await;
    let acme = team(&w, "acme").await;
    let taken = team_create(&w.db, TeamId::now_v7(), "acme", w.account.id, at(0)).await.unwrap_err();
    assert_eq!(store::broken_constraint(&taken).as_deref(), Some("teams_name_key"));
    team(&w, "base").await;
    let ada = w.account.id;
    team_member_save(&w.db, TeamMemberId::now_v7(), acme, ada, Role::Member, at(1)).await.unwrap();
    team_member_save(&w.db, TeamMemberId::now_v7(), acme, ada, Role::Admin, at(2)).await.unwrap();
    let found = team_info(&w.db, "acme", ada).await.unwrap().unwrap();
    assert_eq!((found.team.id, found.role), (acme, Some(Role::Admin)));
    assert!(team_info(&w.db, &acme.to_string(), AccountId::nil()).await.unwrap().unwrap().role.is_none());
    let list = &all(&store::teams::LIST);
    assert_eq!(team_list(&w.db, ada, false, list).await.unwrap().rows.len(), 1);
    let all = team_list(&w.db, ada, true, list).await.unwrap().rows;
    let all: Vec<_> = all.iter().map(|t| (t.team.name.as_str(), t.role)).collect();
    assert_eq!(all, [("acme", Some(Role::Admin)), ("base", None)]);

    let listed = members(&w, acme).await;
    assert_eq!((listed.len(), listed[0].email.as_str(), listed[0].role.as_str()), (1, "ada@example.com", "admin"));
    assert!(listed[0].service.is_none());
    for who in ["ADA@example.com".to_owned(), ada.to_string(), listed[0].id.to_string()] {
        assert!(team_member_info(&w.db, acme, &who).await.unwrap().is_some(), "{who}");
    }
    assert_eq!(team_member_count_admins(&w.db, acme).await.unwrap(), 1);
    accounts::account_suspend(&w.db, ada, Some(at(3))).await.unwrap();
    assert_eq!(team_member_count_admins(&w.db, acme).await.unwrap(), 0);

    let app = w.app("dusk").await;
    store::apps::app_set_owner(&w.db, app, None, Some(acme), at(3)).await.unwrap();
    store::collaborators::collaborator_save(&w.db, CollaboratorId::now_v7(), app, ada, &["view".into()], at(3))
        .await
        .unwrap();
    let held = team_delete(&w.db, acme).await.unwrap_err();
    assert_eq!(store::broken_constraint(&held).as_deref(), Some("apps_team_fkey"));
    let mut tx = w.db.begin().await.unwrap();
    team_lock(&mut *tx, acme).await.unwrap();
    assert!(team_lock_at_once(&mut *tx, acme).await.unwrap() && !team_lock_at_once(&w.db, acme).await.unwrap());
    team_member_delete(&mut tx, acme, ada).await.unwrap();
    tx.commit().await.unwrap();
    assert!(members(&w, acme).await.is_empty());
    let left = store::collaborators::collaborator_info(&w.db, app, &ada.to_string()).await.unwrap();
    assert!(left.is_none());
    store::apps::app_set_owner(&w.db, app, Some(ada), None, at(4)).await.unwrap();
    team_rename(&w.db, acme, "apex", at(4)).await.unwrap();
    team_delete(&w.db, acme).await.unwrap();
    assert!(team_info(&w.db, "apex", ada).await.unwrap().is_none());
}

#[tokio::test]
async fn decisions_of_people_about_members_take_precedence() {
    let w = World::start().await;
    let (acme, ada) = (team(&w, "acme").await, w.account.id);
    let give =
        async |role: Role| team_member_grant(&w.db, TeamMemberId::now_v7(), acme, ada, role, at(1)).await.unwrap();
    let found = async || {
        let rows = members(&w, acme).await;
        rows.first().map(|row| format!("{} {}", row.role, row.given_by))
    };
    let word = async || team_member_decision(&w.db, acme, ada).await.unwrap();
    give(Role::Viewer).await;
    give(Role::Member).await;
    assert_eq!((found().await.as_deref(), word().await), (Some("member rule"), None));
    team_member_save(&w.db, TeamMemberId::now_v7(), acme, ada, Role::Admin, at(2)).await.unwrap();
    give(Role::Viewer).await;
    assert_eq!((found().await.as_deref(), word().await), (Some("admin person"), Some(true)));
    let mut db = w.db.acquire().await.unwrap();
    team_member_delete(&mut db, acme, ada).await.unwrap();
    for _ in 0..2 {
        team_member_block(&w.db, TeamMemberId::now_v7(), acme, ada, at(3)).await.unwrap();
    }
    give(Role::Viewer).await;
    assert_eq!((found().await, word().await), (None, Some(false)));
    team_member_save(&w.db, TeamMemberId::now_v7(), acme, ada, Role::Viewer, at(4)).await.unwrap();
    assert_eq!(word().await, Some(true));
    team_invites(&w.db, acme, true, at(5)).await.unwrap();
    assert!(team_info(&w.db, "acme", ada).await.unwrap().unwrap().team.invites);
}

#[tokio::test]
async fn invitations() {
    let w = World::start().await;
    let acme = team(&w, "acme").await;
    let bob = account("bob@example.com");
    accounts::account_create(&w.db, &bob).await.unwrap();
    let mut new = New {
        id: TeamInvitationId::now_v7(),
        team: acme,
        account: bob.id,
        role: Role::Viewer,
        invited_by: w.account.id,
        expires_at: at(60),
        now: at(1),
    };
    let first = new.id;
    team_invitation_save(&w.db, &new).await.unwrap();
    (new.id, new.role) = (TeamInvitationId::now_v7(), Role::Member);
    team_invitation_save(&w.db, &new).await.unwrap();
    let found = team_invitation_info(&w.db, first).await.unwrap().unwrap();
    assert_eq!((found.team.as_str(), found.email.as_str(), found.role.as_str()), ("acme", "bob@example.com", "member"));
    assert_eq!(found.inviter_email.as_deref(), Some("ada@example.com"));
    for (team, account, count) in
        [(Some(acme), None, 1), (None, Some(bob.id), 1), (Some(acme), Some(w.account.id), 0), (None, None, 1)]
    {
        let found = team_invitation_list(&w.db, team, account, &all(&store::team_invitations::LIST)).await.unwrap();
        assert_eq!(found.rows.len(), count);
    }
    assert_eq!(team_invitation_of(&w.db, acme, "BOB@example.com").await.unwrap().unwrap().id, first);
    team_invitation_delete(&w.db, first).await.unwrap();
    assert!(team_invitation_info(&w.db, first).await.unwrap().is_none());
}

#[tokio::test]
async fn service_accounts() {
    let w = World::start().await;
    let acme = team(&w, "acme").await;
    let bot = account("bot@acme.invalid");
    accounts::account_create(&w.db, &bot).await.unwrap();
    service_account_create(&w.db, bot.id, acme, "bot", w.account.id, at(1)).await.unwrap();
    team_member_save(&w.db, TeamMemberId::now_v7(), acme, bot.id, Role::Member, at(1)).await.unwrap();
    let taken = service_account_create(&w.db, w.account.id, acme, "bot", w.account.id, at(1)).await.unwrap_err();
    assert_eq!(store::broken_constraint(&taken).as_deref(), Some("service_accounts_name_key"));
    let list = all(&store::service_accounts::LIST);
    let all = service_account_list(&w.db, acme, &list).await.unwrap().rows;
    assert_eq!(service_account_info(&w.db, acme, "bot").await.unwrap().unwrap().id, bot.id);
    assert_eq!(
        (all[0].name.as_str(), all[0].email.as_str(), all[0].role.as_str()),
        ("bot", "bot@acme.invalid", "member")
    );
    assert_eq!(members(&w, acme).await[0].service.as_deref(), Some("bot"));
    assert!(service_account_exists(&w.db, bot.id).await.unwrap());
    assert!(!service_account_exists(&w.db, w.account.id).await.unwrap());

    let mut tx = w.db.begin().await.unwrap();
    service_account_retire(&mut tx, bot.id, at(2)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!service_account_exists(&w.db, bot.id).await.unwrap());
    assert!(accounts::account_info(&w.db, bot.id).await.unwrap().is_none());
    // The name is available again.
    let mut all = Vec::new();
    for name in ["bot", "other"] {
        let bot = account(&format!("{name}@acme.invalid"));
        accounts::account_create(&w.db, &bot).await.unwrap();
        service_account_create(&w.db, bot.id, acme, name, w.account.id, at(1)).await.unwrap();
        team_member_save(&w.db, TeamMemberId::now_v7(), acme, bot.id, Role::Member, at(1)).await.unwrap();
        all.push(bot.id);
    }
    let mut tx = w.db.begin().await.unwrap();
    let mut retired = service_account_retire_all(&mut tx, acme, at(2)).await.unwrap();
    assert!(service_account_retire_all(&mut tx, acme, at(2)).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    retired.sort();
    all.sort();
    assert_eq!(retired, all);
    for bot in all {
        assert!(accounts::account_is_retired(&w.db, bot).await.unwrap());
        assert!(accounts::account_info(&w.db, bot).await.unwrap().is_none());
    }
    assert!(members(&w, acme).await.is_empty());
}

#[tokio::test]
async fn who_is_in_a_team_with_whom() {
    let w = World::start().await;
    let (acme, zeta) = (team(&w, "acme").await, team(&w, "zeta").await);
    let [bob, eve] = ["bob@example.com", "eve@example.com"].map(account);
    for (who, team) in [(&bob, acme), (&w.account, acme), (&eve, zeta)] {
        if who.id != w.account.id {
            accounts::account_create(&w.db, who).await.unwrap();
        }
        team_member_save(&w.db, TeamMemberId::now_v7(), team, who.id, Role::Member, at(1)).await.unwrap();
    }
    let (ada, bob, eve) = (w.account.id, bob.id, eve.id);
    assert_eq!(team_member_accounts(&w.db, zeta).await.unwrap(), [eve]);
    assert_eq!(team_member_accounts(&w.db, acme).await.unwrap().len(), 2);
    assert_eq!(team_member_among(&w.db, &[bob, eve], &[acme, TeamId::now_v7()]).await.unwrap(), [(bob, acme)]);
    assert_eq!(team_member_companions(&w.db, &[ada, eve], &[bob]).await.unwrap(), [(ada, bob)]);
    assert!(team_member_companions(&w.db, &[eve], &[ada, bob]).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_is_invited_is_seen_by_admins_of_the_team() {
    let w = World::start().await;
    let acme = team(&w, "acme").await;
    let people = ["bob@example.com", "eve@example.com", "fay@example.com"].map(account);
    for who in &people {
        accounts::account_create(&w.db, who).await.unwrap();
    }
    let [bob, eve, fay] = people.map(|who| who.id);
    for (who, role) in [(bob, Role::Admin), (eve, Role::Member)] {
        team_member_save(&w.db, TeamMemberId::now_v7(), acme, who, role, at(1)).await.unwrap();
    }
    let id = TeamInvitationId::now_v7();
    let new = New { id, team: acme, account: fay, role: Role::Member, invited_by: bob, expires_at: at(9), now: at(1) };
    team_invitation_save(&w.db, &new).await.unwrap();
    assert_eq!(team_invitation_companions(&w.db, &[bob, eve], &[fay]).await.unwrap(), [(bob, fay)]);
    assert_eq!(team_invitation_companions(&w.db, &[eve, fay], &[bob]).await.unwrap(), [(fay, bob)]);
    assert_eq!(team_invitation_teams(&w.db, &[bob, fay]).await.unwrap(), [acme]);
    assert!(team_invitation_teams(&w.db, &[bob]).await.unwrap().is_empty());
}
