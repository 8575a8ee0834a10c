//! Builds: every query.

use store::builds::*;
use uuid::Uuid;

use crate::world::{World, account, all, at};

impl World {
    async fn build(&self, app: Uuid, now: i64) -> Uuid {
        let new = New {
            id: Uuid::now_v7(),
            app,
            account: self.account.id,
            stack: "heroku-24".into(),
            buildpacks: vec!["heroku/go".into()],
            source_url: Some("https://example.com".into()),
            git: Some(("refs/heads/main".into(), "0".into(), "1".into())),
            now: at(now),
            ..New::default()
        };
        build_create(&mut self.db.acquire().await.unwrap(), &new).await.unwrap();
        new.id
    }

    async fn start_next(&self, most: i64) -> Option<(Uuid, Uuid)> {
        build_start_next(&mut self.db.acquire().await.unwrap(), most, at(9)).await.unwrap()
    }
}

#[tokio::test]
async fn builds() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let (first, second) = (w.build(app, 1).await, w.build(app, 2).await);
    let row = build_info(&w.db, second).await.unwrap().unwrap();
    assert_eq!((row.number, row.status.as_str(), row.email.as_str()), (2, "pending", "ada@example.com"));
    assert_eq!((row.git_ref.as_deref(), row.git_new.as_deref()), (Some("refs/heads/main"), Some("1")));
    let ids = |rows: Vec<Row>| rows.into_iter().map(|b| b.id).collect::<Vec<_>>();
    assert_eq!(ids(build_list(&w.db, app, &all(&LIST)).await.unwrap().rows), [first, second]);
    assert_eq!(ids(build_newest(&w.db, app, 1).await.unwrap()), [second]);
    for (id, place) in [(first, 1), (second, 2)] {
        assert_eq!(build_info(&w.db, id).await.unwrap().unwrap().queue_position, place);
    }
    assert_eq!(build_pending(&w.db, &[app]).await.unwrap()[0].id, first);
    assert_eq!(build_pending_ids(&w.db, app).await.unwrap().len(), 2);
    assert_eq!(build_at(&w.db, app, 2).await.unwrap().unwrap().id, second);
    assert_eq!(build_status(&w.db, second).await.unwrap().as_deref(), Some("pending"));
    let pushed = build_of_branch(&w.db, app, "refs/heads/main").await.unwrap();
    assert_eq!(pushed, Some((1, "ada@example.com".to_owned())));

    let slug = w.slug(app).await;
    build_slug(&w.db, first, slug).await.unwrap();
    let release = w.release(app, "succeeded", Some(slug)).await;
    assert!(build_releases(&w.db, first, release).await.unwrap());
    assert!(!build_cancel(&w.db, first, at(3)).await.unwrap());
    assert!(build_succeed(&w.db, first, release, at(4)).await.unwrap());
    assert!(!build_succeed(&w.db, first, release, at(4)).await.unwrap());
    assert!(!build_fail(&w.db, first, "x", at(4)).await.unwrap());

    assert!(build_cancel(&w.db, second, at(3)).await.unwrap());
    assert!(build_cancel(&w.db, second, at(5)).await.unwrap());
    assert!(!build_releases(&w.db, second, release).await.unwrap());
    assert!(build_fail(&w.db, second, "cancelled", at(6)).await.unwrap());
    let row = build_info(&w.db, second).await.unwrap().unwrap();
    assert_eq!((row.cancelled_at, row.error.as_deref()), (Some(at(3)), Some("cancelled")));
}

#[tokio::test]
async fn places_are_taken_in_turn_and_one_for_each_app() {
    let w = World::start().await;
    let (dusk, dawn, noon) = (w.app("dusk").await, w.app("dawn").await, w.app("noon").await);
    let (a, b, c, d) = (w.build(dusk, 1).await, w.build(dusk, 2).await, w.build(dawn, 3).await, w.build(noon, 4).await);
    assert_eq!(w.start_next(3).await, Some((a, dusk)));
    // Those of one app wait for each other, and hold up nobody else.
    assert_eq!(w.start_next(3).await, Some((c, dawn)));
    assert_eq!(w.start_next(3).await, None);
    build_fail(&w.db, a, "x", at(9)).await.unwrap();
    assert_eq!(w.start_next(3).await, Some((b, dusk)));
    assert_eq!(build_waiting(&w.db).await.unwrap(), [(d, noon, 1)]);
    build_cancel(&w.db, d, at(9)).await.unwrap();
    assert_eq!(w.start_next(9).await, None);
    assert_eq!(build_cancelled_waiting(&w.db).await.unwrap(), [d]);
}

#[tokio::test]
async fn owners_take_turns_however_many_builds_one_of_them_has() {
    let w = World::start().await;
    let bob = account("bob@example.com");
    store::accounts::account_create(&w.db, &bob).await.unwrap();
    let mut many = Vec::new();
    for n in 0..4 {
        let app = w.app(&format!("ada-{n}")).await;
        many.push(w.build(app, n).await);
    }
    let app = w.app("bob").await;
    store::apps::app_give(&w.db, app, Some(bob.id), None, at(9)).await.unwrap();
    let one = w.build(app, 9).await;
    let places: Vec<_> = build_waiting(&w.db).await.unwrap().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(places, [many[0], one, many[1], many[2], many[3]]);
    assert_eq!(w.start_next(2).await.unwrap().0, many[0]);
    // Whose build runs has had a turn.
    let places: Vec<_> = build_waiting(&w.db).await.unwrap().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(places[0], one);
}

#[tokio::test]
async fn the_last_place_is_for_another_and_teams_do_not_make_one() {
    let w = World::start().await;
    let bob = account("bob@example.com");
    store::accounts::account_create(&w.db, &bob).await.unwrap();
    let mut apps = vec![w.app("own").await];
    for n in 0..3 {
        let (team, app) = (Uuid::now_v7(), w.app(&format!("of-team-{n}")).await);
        store::teams::team_create(&w.db, team, &format!("team-{n}"), w.account.id, at(0)).await.unwrap();
        let member = Uuid::now_v7();
        store::team_members::team_member_save(&w.db, member, team, w.account.id, "admin", at(0)).await.unwrap();
        store::apps::app_give(&w.db, app, None, Some(team), at(0)).await.unwrap();
        apps.push(app);
    }
    for (n, app) in apps.iter().enumerate() {
        w.build(*app, i64::try_from(n).unwrap()).await;
    }
    let app = w.app("bob").await;
    store::apps::app_give(&w.db, app, Some(bob.id), None, at(9)).await.unwrap();
    assert_eq!(w.start_next(3).await.unwrap().1, apps[0]);
    assert_eq!(w.start_next(3).await.unwrap().1, apps[1]);
    assert_eq!(w.start_next(3).await, None, "one place is left");
    let his = w.build(app, 9).await;
    assert_eq!(build_waiting(&w.db).await.unwrap()[0].0, his, "teams of one person have no turns of their own");
    assert_eq!(w.start_next(3).await, Some((his, app)));
    // Where there is one place, it is everybody's.
    assert_eq!(w.start_next(1).await, None);
}
