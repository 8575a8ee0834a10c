//! Apps: every query.

use std::collections::HashSet;

use api::ids::{AccountId, AppId, TeamId};
use store::{apps::*, releases, slugs};

use crate::world::{World, at};

#[tokio::test]
async fn apps() {
    let w = World::start().await;
    let id = w.app("dusk").await;
    let other = w.app("dawn").await;
    let new = New {
        id: AppId::now_v7(),
        name: "dusk",
        owner: Some(w.account.id),
        team: None,
        locked: false,
        stack: "host",
        now: at(0),
    };
    let taken = app_create(&w.db, &new).await.unwrap_err();
    assert_eq!(store::broken_constraint(&taken).as_deref(), Some("apps_name_key"));
    let mut row = app_by_name(&w.db, "dusk").await.unwrap().unwrap();
    assert_eq!(
        (row.id, row.owner_email.as_deref().unwrap(), row.build_stack.as_str()),
        (id, "ada@example.com", "heroku-24")
    );
    assert!(row.uid >= 0x7801_0000);
    assert_ne!(app_info(&w.db, other).await.unwrap().unwrap().uid, row.uid);
    let names: Vec<_> = app_all(&w.db, None).await.unwrap().into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["dawn", "dusk"]);
    let (me, nobody) = (w.account.id, AccountId::now_v7());
    let viewers = app_viewers(&w.db, &[me, nobody], &[], &[id, AppId::now_v7()]).await.unwrap();
    assert_eq!(viewers, [(me, id)]);
    assert!(app_viewers(&w.db, &[nobody], &[], &[id, other]).await.unwrap().is_empty());
    assert_eq!(app_people(&w.db, id).await.unwrap(), [me]);
    assert_eq!(HashSet::from_iter(app_ids(&w.db).await.unwrap()), HashSet::from([id, other]));

    row.maintenance = true;
    row.locked = true;
    row.name = "noon".into();
    row.build_stack = "host".into();
    row.buildpacks = vec!["heroku/go".into()];
    row.features = vec!["preboot".into()];
    row.watch_seconds = 30;
    app_update(&w.db, &row, at(5)).await.unwrap();
    app_repo_size(&w.db, id, 7).await.unwrap();
    let slug = w.slug_row(id, Some("SHA256:x"));
    slugs::slug_create(&w.db, &slug).await.unwrap();
    app_released(&w.db, id, Some(&slug), at(6)).await.unwrap();
    app_released(&w.db, id, None, at(7)).await.unwrap();
    let now = app_info(&w.db, id).await.unwrap().unwrap();
    assert_eq!(
        (now.name.as_str(), now.maintenance, now.locked, now.build_stack.as_str()),
        ("noon", true, true, "host")
    );
    assert_eq!((now.buildpacks, now.features), (row.buildpacks.clone(), row.features.clone()));
    assert_eq!(now.watch_seconds, 30);
    assert_eq!((now.repo_size, now.slug_size, now.stack.as_str()), (Some(7), Some(42), "heroku-22"));
    assert_eq!((now.buildpack_description.as_deref(), now.released_at), (Some("Node.js"), Some(at(7))));
    row.name = "dawn".into();
    assert!(app_update(&w.db, &row, at(8)).await.is_err());

    let mut tx = w.db.begin().await.unwrap();
    assert!(app_lock(&mut *tx, id).await.unwrap());
    assert!(!app_lock(&mut *tx, AppId::now_v7()).await.unwrap());
    assert!(!app_try_lock(&w.db, id).await.unwrap(), "somebody has it");
    assert!(app_try_lock(&w.db, other).await.unwrap());
    tx.commit().await.unwrap();
    w.release(id, "succeeded", Some(slug.id)).await;
    let team = TeamId::now_v7();
    store::teams::team_create(&w.db, team, "acme", w.account.id, at(8)).await.unwrap();
    app_set_owner(&w.db, id, None, Some(team), at(8)).await.unwrap();
    let given = app_info(&w.db, id).await.unwrap().unwrap();
    assert_eq!((given.owner_id, given.owner_email, given.team.as_deref()), (None, None, Some("acme")));
    assert!(given.locked);
    assert!(app_set_owner(&w.db, id, None, None, at(8)).await.is_err());
    app_set_owner(&w.db, id, Some(w.account.id), None, at(8)).await.unwrap();
    assert!(!app_info(&w.db, id).await.unwrap().unwrap().locked);
    app_mark_deleted(&w.db, id, at(9)).await.unwrap();
    assert!(app_info(&w.db, id).await.unwrap().is_none());
    assert!(app_by_name(&w.db, "noon").await.unwrap().is_none());
    assert_eq!(app_among(&w.db, &[id]).await.unwrap(), [id]);
    assert!(!app_lock(&w.db, id).await.unwrap() && !app_try_lock(&w.db, id).await.unwrap());
    assert!(!app_exists(&w.db, id).await.unwrap() && app_exists(&w.db, other).await.unwrap());
    assert_eq!(app_among(&w.db, &[AppId::now_v7(), id]).await.unwrap(), [id]);
    assert!(releases::release_current_all(&w.db, None).await.unwrap().is_empty());
    w.app("noon").await;
    app_delete(&mut w.db.acquire().await.unwrap(), id).await.unwrap();
    assert!(app_among(&w.db, &[id]).await.unwrap().is_empty());
}

#[tokio::test]
async fn former_names() {
    let w = World::start().await;
    let (id, other) = (w.app("dusk").await, w.app("dawn").await);
    let db = &mut w.db.acquire().await.unwrap();
    for (n, name) in ["first", "second", "third"].into_iter().enumerate() {
        app_name_release(db, id, name, 2, at(n as i64)).await.unwrap();
    }
    let found =
        async |name: &str, since: i64| app_by_former_name(&w.db, name, at(since)).await.unwrap().map(|row| row.id);
    assert_eq!(found("first", -1).await, None, "only two are kept");
    assert_eq!((found("second", 0).await, found("second", 1).await), (Some(id), None));
    // The app that has given it up last.
    app_name_release(db, other, "third", 2, at(5)).await.unwrap();
    assert_eq!(found("third", 0).await, Some(other));
    app_name_claim(&w.db, "third").await.unwrap();
    assert_eq!(found("third", 0).await, None);
    app_mark_deleted(&w.db, id, at(9)).await.unwrap();
    assert_eq!(found("second", 0).await, None);
}

#[tokio::test]
async fn names_of_destroyed_apps_are_reserved_for_their_owner() {
    let w = World::start().await;
    let id = w.app("dusk").await;
    let db = &mut w.db.acquire().await.unwrap();
    app_name_release(db, id, "first", 10, at(1)).await.unwrap();
    let found = async |name: &str, since: i64| {
        app_name_reservation(&w.db, name, w.account.id, at(since)).await.unwrap().map(|reserved| reserved.owner_id)
    };
    assert_eq!(found("first", 0).await, None, "its app lives");
    app_name_reserve(db, id, 2, at(5)).await.unwrap();
    app_mark_deleted(&w.db, id, at(5)).await.unwrap();
    app_delete(db, id).await.unwrap();
    let own = Some(Some(w.account.id));
    assert_eq!((found("dusk", 4).await, found("dusk", 5).await), (own, None));
    assert_eq!(found("first", 0).await, own);
    let reserved = app_name_reservation(&w.db, "dusk", AccountId::now_v7(), at(0)).await.unwrap().unwrap();
    assert_eq!((reserved.team_id, reserved.team_role), (None, None));

    // The newest two of this owner.
    let other = w.app("dawn").await;
    app_name_reserve(db, other, 2, at(6)).await.unwrap();
    assert_eq!((found("dawn", 0).await, found("dusk", 0).await, found("first", 0).await), (own, own, None));
    app_mark_deleted(&w.db, other, at(6)).await.unwrap();
    // Once it is destroyed, there is nothing to reserve.
    app_name_reserve(db, other, 2, at(7)).await.unwrap();
    assert_eq!(found(&other.to_string(), 0).await, None);

    app_name_sweep(&w.db, at(6)).await.unwrap();
    assert_eq!((found("dawn", 0).await, found("dusk", 0).await), (own, None));
    app_name_claim(&w.db, "dawn").await.unwrap();
    assert_eq!(found("dawn", 0).await, None);
}
