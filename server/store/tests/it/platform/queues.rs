//! Queues of builds and of release phases: the order of their rows.

use std::collections::BTreeSet;

use api::{
    ids::{AppId, BuildId, ReleaseId, TeamId, TeamMemberId},
    releases::ReleaseStatus,
    team_members::Role,
};
use store::{
    accounts, apps,
    builds::{New as BuildNew, *},
    queues::*,
    releases::*,
    team_members::*,
    teams::*,
};

use crate::world::{World, account, at};

impl World {
    async fn start_next(&self, all: i64, each: i64) -> Option<(BuildId, AppId)> {
        let slots = Capacity { all, each };
        BUILDS.start_next(&mut self.db.acquire().await.unwrap(), slots, at(9)).await.unwrap()
    }

    async fn ended(&self, releases: &[ReleaseId]) -> BTreeSet<ReleaseId> {
        RELEASES.ended(&self.db, releases).await.unwrap().into_iter().collect()
    }
}

#[tokio::test]
async fn places_are_taken_in_turn_and_one_for_each_app() {
    let w = World::start().await;
    let (dusk, dawn, noon) = (w.app("dusk").await, w.app("dawn").await, w.app("noon").await);
    let (a, b, c, d) = (w.build(dusk, 1).await, w.build(dusk, 2).await, w.build(dawn, 3).await, w.build(noon, 4).await);
    assert_eq!(w.start_next(2, 2).await, Some((a, dusk)));
    // Rows of one app wait for each other, and do not delay those of others.
    assert_eq!(w.start_next(2, 2).await, Some((c, dawn)));
    assert_eq!(w.start_next(2, 2).await, None);
    build_fail(&w.db, a, "x", at(9)).await.unwrap();
    assert_eq!(w.start_next(2, 2).await, Some((b, dusk)));
    assert_eq!(build_waiting(&w.db).await.unwrap(), [(d, noon, 1)]);
    build_cancel(&w.db, d, at(9)).await.unwrap();
    assert_eq!(w.start_next(9, 9).await, None);
    assert_eq!(BUILDS.cancelled(&w.db).await.unwrap(), [d]);
}

#[tokio::test]
async fn a_build_that_has_a_release_needs_no_slot_and_is_still_the_first_of_its_app() {
    let w = World::start().await;
    let (dusk, dawn) = (w.app("dusk").await, w.app("dawn").await);
    let (a, b, c) = (w.build(dusk, 1).await, w.build(dusk, 2).await, w.build(dawn, 3).await);
    assert_eq!(w.start_next(1, 1).await, Some((a, dusk)));
    assert_eq!(w.start_next(1, 1).await, None);
    assert!(build_releases(&w.db, a, ReleaseId::now_v7()).await.unwrap());
    assert_eq!(w.start_next(1, 1).await, Some((c, dawn)));
    build_fail(&w.db, c, "x", at(9)).await.unwrap();
    assert_eq!(w.start_next(1, 1).await, None, "{b} is after {a}");
    build_fail(&w.db, a, "x", at(9)).await.unwrap();
    assert_eq!(w.start_next(1, 1).await, Some((b, dusk)));
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
    store::apps::app_set_owner(&w.db, app, Some(bob.id), None, at(9)).await.unwrap();
    let one = w.build(app, 9).await;
    let places: Vec<_> = build_waiting(&w.db).await.unwrap().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(places, [many[0], one, many[1], many[2], many[3]]);
    assert_eq!(w.start_next(2, 2).await.unwrap().0, many[0]);
    // A payer with a running build has had a turn.
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
        let (team, app) = (TeamId::now_v7(), w.app(&format!("of-team-{n}")).await);
        store::teams::team_create(&w.db, team, &format!("team-{n}"), w.account.id, at(0)).await.unwrap();
        let member = TeamMemberId::now_v7();
        store::team_members::team_member_save(&w.db, member, team, w.account.id, Role::Admin, at(0)).await.unwrap();
        store::apps::app_set_owner(&w.db, app, None, Some(team), at(0)).await.unwrap();
        apps.push(app);
    }
    for (n, app) in apps.iter().enumerate() {
        w.build(*app, i64::try_from(n).unwrap()).await;
    }
    let app = w.app("bob").await;
    store::apps::app_set_owner(&w.db, app, Some(bob.id), None, at(9)).await.unwrap();
    assert_eq!(w.start_next(3, 3).await.unwrap().1, apps[0]);
    assert_eq!(w.start_next(3, 3).await.unwrap().1, apps[1]);
    assert_eq!(w.start_next(3, 3).await, None, "one place is left");
    let his = w.build(app, 9).await;
    assert_eq!(build_waiting(&w.db).await.unwrap()[0].0, his, "teams of one person have no turns of their own");
    assert_eq!(w.start_next(3, 3).await, Some((his, app)));
    // A single slot is available to everybody.
    assert_eq!(w.start_next(1, 1).await, None);
}

#[tokio::test]
async fn whoever_is_alone_has_all_places() {
    let w = World::start().await;
    for n in 0..2 {
        let app = w.app(&format!("own-{n}")).await;
        w.build(app, n).await;
    }
    assert!(w.start_next(2, 2).await.is_some());
    assert!(w.start_next(2, 2).await.is_some(), "there is nobody to leave the last place to");
}

#[tokio::test]
async fn slots_of_an_owner_are_limited() {
    let w = World::start().await;
    let bob = account("bob@example.com");
    store::accounts::account_create(&w.db, &bob).await.unwrap();
    let apps = [w.app("ada-1").await, w.app("ada-2").await, w.app("bob").await];
    store::apps::app_set_owner(&w.db, apps[2], Some(bob.id), None, at(9)).await.unwrap();
    let [a, _, c] = [w.build(apps[0], 1).await, w.build(apps[1], 2).await, w.build(apps[2], 3).await];
    assert_eq!(w.start_next(9, 1).await.unwrap().0, a);
    assert_eq!(w.start_next(9, 1).await.unwrap().0, c);
    assert_eq!(w.start_next(9, 1).await, None);
}

#[tokio::test]
async fn of_many_in_one_app_those_that_cannot_begin_take_no_turns() {
    let w = World::start().await;
    let bob = account("bob@example.com");
    store::accounts::account_create(&w.db, &bob).await.unwrap();
    let (dusk, dawn) = (w.app("dusk").await, w.app("dawn").await);
    for n in 0..5 {
        w.build(dusk, n).await;
    }
    let other = w.build(dawn, 5).await;
    for n in 6..9 {
        let app = w.app(&format!("bob-{n}")).await;
        store::apps::app_set_owner(&w.db, app, Some(bob.id), None, at(9)).await.unwrap();
        w.build(app, n).await;
    }
    let mut order = Vec::new();
    while let Some((id, _)) = w.start_next(5, 5).await {
        order.push(id);
    }
    assert_eq!(order.len(), 4);
    assert!(order.contains(&other), "its turn is the second of its owner's, not the sixth");
}

#[tokio::test]
async fn release_phases_have_places_of_their_own_and_none_is_lost() {
    let w = World::start().await;
    let (app, other) = (w.app("dusk").await, w.app("dawn").await);
    let first = w.release(app, "pending", None).await;
    let second = w.release(app, "pending", None).await;
    let third = w.release(other, "pending", None).await;
    let mut db = w.db.acquire().await.unwrap();
    let slots = Capacity { all: 3, each: 3 };
    assert_eq!(RELEASES.start_next(&mut db, slots, at(9)).await.unwrap(), Some((first, app)));
    assert_eq!(RELEASES.start_next(&mut db, slots, at(9)).await.unwrap(), Some((third, other)));
    assert_eq!(RELEASES.start_next(&mut db, slots, at(9)).await.unwrap(), None);
    assert!(release_info(&w.db, first).await.unwrap().unwrap().started_at.is_some());
    assert_eq!(release_pending_count(&w.db, app).await.unwrap(), 2);

    // One continues, one has no job, and the job of one was abandoned.
    let job = "insert into jobs (id, kind, subject, params, state) values (gen_random_uuid(), 'x', $1, '{}', $2)";
    sqlx::query(job).bind(first).bind("running").execute(&w.db).await.unwrap();
    let lost = |lost: Vec<Lost<ReleaseId>>| lost.into_iter().map(|lost| (lost.id, lost.failed)).collect::<Vec<_>>();
    assert_eq!(lost(RELEASES.lost(&w.db, "x").await.unwrap()), [(third, false)]);
    sqlx::query(job).bind(third).bind("failed").execute(&w.db).await.unwrap();
    assert_eq!(lost(RELEASES.lost(&w.db, "x").await.unwrap()), [(third, true)]);
    RELEASES.fail(&w.db, third, at(9)).await.unwrap();
    assert_eq!(release_status(&w.db, third).await.unwrap(), Some(ReleaseStatus::Failed));

    let gone = ReleaseId::now_v7();
    assert_eq!(w.ended(&[first, second, gone]).await, BTreeSet::from([gone]));
    release_cancel_all(&w.db, app, at(9)).await.unwrap();
    assert_eq!(w.ended(&[first, second, gone]).await, BTreeSet::from([first, second, gone]));
    assert_eq!(RELEASES.cancelled(&w.db).await.unwrap(), [second]);
    assert_eq!(RELEASES.start_next(&mut db, slots, at(9)).await.unwrap(), None);
}

#[tokio::test]
async fn work_a_suspended_account_is_responsible_for_is_cancelled() {
    let w = World::start().await;
    let (ada, bob) = (w.account.id, account("bob@example.com"));
    accounts::account_create(&w.db, &bob).await.unwrap();
    let (own, alone, shared) = (w.app("own").await, w.app("alone").await, w.app("shared").await);
    for (app, name) in [(alone, "alone"), (shared, "shared")] {
        let team = TeamId::now_v7();
        team_create(&w.db, team, name, ada, at(0)).await.unwrap();
        team_member_save(&w.db, TeamMemberId::now_v7(), team, ada, Role::Admin, at(0)).await.unwrap();
        if app == shared {
            team_member_save(&w.db, TeamMemberId::now_v7(), team, bob.id, Role::Admin, at(0)).await.unwrap();
        }
        apps::app_set_owner(&w.db, app, None, Some(team), at(0)).await.unwrap();
    }
    let mut made = Vec::new();
    for app in [own, alone, shared] {
        let mine = w.release(app, "pending", None).await;
        let his = w.release(app, "pending", None).await;
        sqlx::query("update releases set account_id = $2 where id = $1")
            .bind(his)
            .bind(bob.id)
            .execute(&w.db)
            .await
            .unwrap();
        made.extend([mine, his]);
    }
    let mut db = w.db.acquire().await.unwrap();
    accounts::account_suspend(&w.db, ada, Some(at(1))).await.unwrap();
    // Everything that she has started, for any app.
    RELEASES.cancel_suspended(&mut db, at(2)).await.unwrap();
    assert_eq!(w.ended(&made).await, BTreeSet::from([made[0], made[2], made[4]]));
    RELEASES.cancel_of(&mut db, ada, at(2)).await.unwrap();
    assert_eq!(w.ended(&made).await, made[..5].iter().copied().collect());
    let row = release_info(&w.db, made[1]).await.unwrap().unwrap();
    assert_eq!((row.cancelled_at, row.status.as_str()), (Some(at(2)), "pending"));
    assert_eq!(row.error.as_deref(), Some("cancelled because the account behind it was suspended"));
    // A build that is creating its release can no longer be cancelled.
    let build = BuildNew { id: BuildId::now_v7(), app: own, account: ada, now: at(0), ..Default::default() };
    store::builds::build_create(&mut db, &build).await.unwrap();
    store::builds::build_releases(&w.db, build.id, ReleaseId::now_v7()).await.unwrap();
    BUILDS.cancel_of(&mut db, ada, at(2)).await.unwrap();
    assert!(BUILDS.ended(&w.db, &[build.id]).await.unwrap().is_empty());
    sqlx::query("update builds set release_id = null").execute(&w.db).await.unwrap();
    BUILDS.cancel_of(&mut db, ada, at(2)).await.unwrap();
    assert_eq!(BUILDS.ended(&w.db, &[build.id]).await.unwrap(), [build.id]);
}

#[tokio::test]
async fn work_of_service_accounts_of_a_suspended_account_is_cancelled() {
    let w = World::start().await;
    let (ada, bob, bot) = (w.account.id, account("bob@example.com"), account("bot@acme.invalid"));
    accounts::account_create(&w.db, &bob).await.unwrap();
    accounts::account_create(&w.db, &bot).await.unwrap();
    let team = TeamId::now_v7();
    team_create(&w.db, team, "acme", ada, at(0)).await.unwrap();
    for who in [ada, bob.id] {
        team_member_save(&w.db, TeamMemberId::now_v7(), team, who, Role::Admin, at(0)).await.unwrap();
    }
    store::service_accounts::service_account_create(&w.db, bot.id, team, "bot", ada, at(0)).await.unwrap();
    let app = w.app("shared").await;
    apps::app_set_owner(&w.db, app, None, Some(team), at(0)).await.unwrap();
    let mut made = Vec::new();
    for who in [bot.id, bob.id] {
        let release = w.release(app, "pending", None).await;
        let by = sqlx::query("update releases set account_id = $2 where id = $1").bind(release).bind(who);
        by.execute(&w.db).await.unwrap();
        made.push(release);
    }
    let mut db = w.db.acquire().await.unwrap();
    RELEASES.cancel_suspended(&mut db, at(2)).await.unwrap();
    assert_eq!(w.ended(&made).await, BTreeSet::new());
    accounts::account_suspend(&w.db, ada, Some(at(1))).await.unwrap();
    let undo = "update releases set cancelled_at = null";
    RELEASES.cancel_of(&mut db, ada, at(2)).await.unwrap();
    assert_eq!(w.ended(&made).await, BTreeSet::from([made[0]]));
    sqlx::query(undo).execute(&w.db).await.unwrap();
    RELEASES.cancel_suspended(&mut db, at(2)).await.unwrap();
    assert_eq!(w.ended(&made).await, BTreeSet::from([made[0]]));
    // Builds started by a removed service account continue.
    sqlx::query(undo).execute(&w.db).await.unwrap();
    store::service_accounts::service_account_retire(&mut db, bot.id, at(3)).await.unwrap();
    RELEASES.cancel_suspended(&mut db, at(4)).await.unwrap();
    assert_eq!(w.ended(&made).await, BTreeSet::new());
}

#[tokio::test]
async fn the_newest_of_an_app_are_found() {
    let w = World::start().await;
    let (app, other) = (w.app("dusk").await, w.app("dawn").await);
    let mut made = Vec::new();
    for status in ["pending", "succeeded", "failed", "succeeded"] {
        made.push(w.release(app, status, None).await);
    }
    w.release(other, "succeeded", None).await;
    let found = RELEASES.newest(&w.db, app, 2).await.unwrap();
    assert_eq!(BTreeSet::from_iter(found), BTreeSet::from([made[0], made[2], made[3]]));
    assert!(BUILDS.newest(&w.db, app, 2).await.unwrap().is_empty());
}
