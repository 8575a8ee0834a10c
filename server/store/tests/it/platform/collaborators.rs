//! Collaborators: every query.

use api::{
    collaborators::CollaboratorRole,
    ids::{AccountId, AppId, CollaboratorId, TeamId, TeamMemberId},
    team_members::Role,
};
use store::{accounts, apps, collaborators::*, team_members, teams};

use crate::world::{World, account, all, at};

#[tokio::test]
async fn what_ties_an_account_to_an_app() {
    let w = World::start().await;
    let (dusk, dawn) = (w.app("dusk").await, w.app("dawn").await);
    let bob = account("bob@example.com");
    accounts::account_create(&w.db, &bob).await.unwrap();
    let acme = TeamId::now_v7();
    teams::team_create(&w.db, acme, "acme", w.account.id, at(0)).await.unwrap();
    apps::app_set_owner(&w.db, dawn, None, Some(acme), at(0)).await.unwrap();
    let none = access_info(&w.db, bob.id, dusk).await.unwrap();
    assert_eq!((none.team_role, none.permissions), (None, None));

    let given = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    collaborator_save(&w.db, CollaboratorId::now_v7(), dusk, bob.id, &given(&["view"]), at(1)).await.unwrap();
    collaborator_save(&w.db, CollaboratorId::now_v7(), dusk, bob.id, &given(&["deploy"]), at(2)).await.unwrap();
    team_members::team_member_save(&w.db, TeamMemberId::now_v7(), acme, bob.id, Role::Viewer, at(1)).await.unwrap();
    let access = access_info(&w.db, bob.id, dusk).await.unwrap();
    assert_eq!((access.team_role, access.permissions), (None, Some(given(&["deploy"]))));
    let access = access_info(&w.db, bob.id, dawn).await.unwrap();
    assert_eq!((access.team_role, access.permissions), (Some(Role::Viewer), None));

    let owner = Owner {
        id: CollaboratorId::now_v7(),
        account: w.account.id.get(),
        email: "ada@example.com",
        permissions: &["view", "manage"],
    };
    let listed = async |app| collaborator_list(&w.db, app, &owner, &all(&LIST)).await.unwrap().rows;
    let rows = listed(dusk).await;
    assert_eq!((rows.len(), rows[0].id, rows[0].role), (2, owner.id, CollaboratorRole::Owner));
    let rows = &rows[1..];
    assert_eq!((rows[0].email.as_str(), rows[0].updated_at), ("bob@example.com", at(2)));
    for who in ["BOB@example.com".to_owned(), bob.id.to_string(), rows[0].id.to_string()] {
        assert!(collaborator_info(&w.db, dusk, &who).await.unwrap().is_some(), "{who}");
        assert!(collaborator_info(&w.db, dawn, &who).await.unwrap().is_none(), "{who}");
    }
    collaborator_save(&w.db, CollaboratorId::now_v7(), dawn, bob.id, &given(&["view"]), at(3)).await.unwrap();
    assert_eq!(listed(dawn).await[1].role, CollaboratorRole::Viewer);

    let sorted = |mut pairs: Vec<(AccountId, AppId)>| {
        pairs.sort();
        pairs
    };
    let (ada, bob_id, both) = (w.account.id, bob.id, [w.account.id, bob.id]);
    let shared = collaborator_shared(&w.db, &both).await.unwrap();
    assert_eq!(sorted(shared), sorted(vec![(ada, dusk), (bob_id, dusk), (bob_id, dawn)]));
    let viewers =
        async |permissions: &[&str]| sorted(apps::app_viewers(&w.db, &both, permissions, &[dusk, dawn]).await.unwrap());
    assert_eq!(viewers(&["deploy"]).await, sorted(vec![(ada, dusk), (bob_id, dusk)]));
    assert_eq!(viewers(&["deploy", "view"]).await, sorted(vec![(ada, dusk), (bob_id, dusk), (bob_id, dawn)]));
    let people = apps::app_people(&w.db, dusk).await.unwrap();
    assert_eq!(people.len(), 2);
    assert!(both.iter().all(|who| people.contains(who)));
    assert_eq!(apps::app_people(&w.db, dawn).await.unwrap(), [bob_id]);
    collaborator_delete(&w.db, dusk, bob.id).await.unwrap();
    assert_eq!(listed(dusk).await.len(), 1);
    collaborator_delete_all(&w.db, dawn).await.unwrap();
    assert_eq!(listed(dawn).await.len(), 1);
}
