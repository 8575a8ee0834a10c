//! Rollouts: every query.

use std::collections::BTreeMap;

use api::{
    ids::ReleaseId,
    releases::{ReleaseStatus, Rollout},
};
use store::{releases::*, rollouts::*};

use crate::world::{World, at};

#[tokio::test]
async fn a_release_replaces_the_one_before_only_when_it_stays_up() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let rollout = async |id| release_info(&w.db, id).await.unwrap().unwrap().rollout;
    let current = async || release_current_all(&w.db, None).await.unwrap().remove(0);
    let empty = w.release(app, "succeeded", None).await;
    assert_eq!(rollout(empty).await, Rollout::Passed);
    let first = w.release(app, "succeeded", Some(slug)).await;
    let now = current().await;
    assert_eq!((now.id, now.rollout, now.watch_seconds), (first, Rollout::Waiting, 10));
    assert_eq!(now.base_id, None, "there is nothing to go back to without code");
    rollout_watch(&w.db, first, at(1)).await.unwrap();
    assert_eq!(rollout(first).await, Rollout::Watching);
    // One that falls and is not replaced is still the current one, and can pass later.
    let fall = |is_replaced| Fall { dyno: "web.1", why: "it exited", is_replaced };
    assert!(rollout_fail(&w.db, first, fall(false), at(2)).await.unwrap());
    assert!(!rollout_fail(&w.db, first, fall(true), at(2)).await.unwrap());
    assert_eq!((current().await.id, rollout(first).await), (first, Rollout::Failed));
    assert!(rollout_pass(&w.db, first, at(3)).await.unwrap());
    let row = release_info(&w.db, first).await.unwrap().unwrap();
    assert_eq!((row.rollout, row.error, row.failed_dyno), (Rollout::Passed, None, None));

    let second = w.release(app, "succeeded", Some(slug)).await;
    let now = current().await;
    assert_eq!((now.id, now.base_id, now.base_version, now.base_slug_id), (second, Some(first), Some(2), Some(slug)));
    let third = w.release(app, "succeeded", Some(slug)).await;
    rollout_supersede(&w.db, app, at(4)).await.unwrap();
    assert_eq!((rollout(second).await, rollout(third).await), (Rollout::Superseded, Rollout::Waiting));
    assert!(!rollout_pass(&w.db, second, at(5)).await.unwrap());
    assert_eq!(release_successor(&w.db, app, 3, slug).await.unwrap().unwrap().id, third);
    assert!(release_successor(&w.db, app, 4, slug).await.unwrap().is_none());
    assert_eq!(current().await.base_id, Some(first), "one that was replaced was never good");
    let fourth = w.release(app, "succeeded", Some(slug)).await;
    assert_eq!(release_successor(&w.db, app, 3, slug).await.unwrap().unwrap().id, third, "the first counts");
    sqlx::query("delete from releases where id = $1").bind(fourth).execute(&w.db).await.unwrap();
    assert!(rollout_fail(&w.db, third, fall(true), at(6)).await.unwrap());
    let row = release_info(&w.db, third).await.unwrap().unwrap();
    assert_eq!(
        (row.status, row.failed_dyno.as_deref(), row.error.as_deref()),
        (ReleaseStatus::Failed, Some("web.1"), Some("it exited"))
    );
}

#[tokio::test]
async fn how_long_a_release_was_up_adds_up() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let id = w.release(app, "succeeded", None).await;
    let note = async |up: &[ReleaseId], down: &[ReleaseId], now| {
        rollout_note_up(&mut w.db.acquire().await.unwrap(), up, down, at(now)).await.unwrap();
        let row = release_info(&w.db, id).await.unwrap().unwrap();
        (row.up_at, row.up_since, row.up_seconds)
    };
    assert!(rollout_up_all(&w.db).await.unwrap().is_empty());
    assert_eq!(note(&[id], &[], 10).await, (Some(at(10)), Some(at(10)), 0));
    assert_eq!(note(&[id], &[], 11).await, (Some(at(10)), Some(at(10)), 0));
    assert_eq!(rollout_up_all(&w.db).await.unwrap(), [id]);
    assert_eq!(note(&[], &[id], 15).await, (Some(at(10)), None, 5));
    assert_eq!(note(&[id], &[], 20).await, (Some(at(10)), Some(at(20)), 5));
    assert_eq!(note(&[], &[id], 23).await, (Some(at(10)), None, 8));
}

#[tokio::test]
async fn the_types_of_a_release_have_the_quantities_of_the_formation_or_those_before() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let types = |names: &[&str]| -> BTreeMap<String, String> {
        names.iter().map(|n| (n.to_string(), format!("old {n}"))).collect()
    };
    let mut slug = w.slug_row(app, Some("SHA256:old"));
    slug.process_types = sqlx::types::Json(types(&["web", "worker", "release"]));
    store::slugs::slug_create(&w.db, &slug).await.unwrap();
    let old = w.release(app, "succeeded", Some(slug.id)).await;
    let replace = async |names: &[&str]| {
        let mut db = w.db.acquire().await.unwrap();
        let ids = api::ids::FormationId::now_v7;
        store::formation::formation_replace(&mut db, app, &types(names), ids, at(1)).await.unwrap();
    };
    replace(&["web", "worker"]).await;
    for row in store::formation::formation_list(&w.db, app).await.unwrap() {
        store::formation::formation_scale(&w.db, row.id, 3, "Basic", at(2)).await.unwrap();
    }
    replace(&["web"]).await;
    let found = rollout_types(&w.db, &[old]).await.unwrap();
    let found: Vec<_> = found.iter().map(|t| format!("{} {} {} {}", t.kind, t.quantity, t.size, t.command)).collect();
    assert_eq!(found, ["web 3 Basic old web", "worker 3 Basic old worker"]);
}
