//! Releases: every query.

use std::collections::BTreeMap;

use api::{
    ids::ReleaseId,
    releases::{ReleaseStatus, Rollout},
};
use store::releases::*;

use crate::world::{World, all, at};

#[tokio::test]
async fn releases() {
    let w = World::start().await;
    let (app, other) = (w.app("dusk").await, w.app("dawn").await);
    let slug = w.slug(app).await;
    let first = w.release(app, "succeeded", None).await;
    let second = w.release(app, "pending", Some(slug)).await;
    let elsewhere = w.release(other, "succeeded", None).await;
    let row = release_info(&w.db, second).await.unwrap().unwrap();
    assert_eq!((row.version, row.email.as_str()), (2, "ada@example.com"));
    assert_eq!(release_status(&w.db, second).await.unwrap(), Some(ReleaseStatus::Pending));
    assert!(release_has_slug(&w.db, app, slug).await.unwrap());
    assert!(!release_has_slug(&w.db, other, slug).await.unwrap());
    assert_eq!(release_at(&w.db, app, 1).await.unwrap().unwrap().id, first);
    assert!(release_at(&w.db, app, 3).await.unwrap().is_none());
    let ids = |rows: Vec<Row>| rows.into_iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(release_list(&w.db, app, &all(&LIST)).await.unwrap().rows), [first, second]);
    assert_eq!(ids(release_newest(&w.db, app, 1).await.unwrap()), [second]);
    let sorted = |mut ids: Vec<ReleaseId>| {
        ids.sort();
        ids
    };
    assert_eq!(release_current(&w.db, app).await.unwrap().unwrap().id, first);
    assert_eq!(
        sorted(release_current_all(&w.db).await.unwrap().into_iter().map(|r| r.id).collect()),
        [first, elsewhere]
    );
    let newest = release_newest_of(&w.db, &[app, other]).await.unwrap();
    assert_eq!(newest.iter().map(|r| (r.app_id == app, r.version)).collect::<Vec<_>>(), [(true, 2), (false, 1)]);
    assert_eq!(release_newest_slug(&w.db, app).await.unwrap(), Some(slug));
    assert_eq!(release_newest_slug(&w.db, other).await.unwrap(), None);

    assert_eq!(release_pending_count(&w.db, app).await.unwrap(), 1);
    assert!(release_cancel(&w.db, second, "cancelled by ada", at(1)).await.unwrap());
    assert!(!release_cancel(&w.db, second, "cancelled by bob", at(2)).await.unwrap());
    let end = release_end(&w.db, second, None, at(3)).await.unwrap().unwrap();
    assert_eq!((end.succeeded, end.cancelled, end.error.as_deref()), (false, true, Some("cancelled by ada")));
    let row = release_info(&w.db, second).await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.error, row.cancelled_at), ("failed", end.error, Some(at(1))));
    assert!(release_end(&w.db, second, None, at(4)).await.unwrap().is_none());
    assert!(!release_cancel(&w.db, second, "cancelled by ada", at(4)).await.unwrap());
    for error in [None, Some("it exited with status 1")] {
        let next = w.release(other, "pending", None).await;
        let end = release_end(&w.db, next, error, at(3)).await.unwrap().unwrap();
        assert_eq!((end.succeeded, end.cancelled, end.error.as_deref()), (error.is_none(), false, error));
    }
    release_has_output(&w.db, second).await.unwrap();
    assert!(release_info(&w.db, second).await.unwrap().unwrap().has_output);
    assert_eq!(release_newest_slug(&w.db, app).await.unwrap(), None);
    // Repeating it changes nothing.
    let new = New {
        id: first,
        app,
        status: ReleaseStatus::Failed,
        description: "",
        account: w.account.id,
        slug: None,
        config: row.config_id,
        commit: None,
        watch: None,
        now: at(5),
    };
    assert_eq!(release_create(&mut w.db.acquire().await.unwrap(), &new).await.unwrap(), 1);
    assert_eq!(release_list(&w.db, app, &all(&LIST)).await.unwrap().rows.len(), 2);
}

#[tokio::test]
async fn a_release_replaces_the_one_before_only_when_it_stays_up() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let rollout = async |id| release_info(&w.db, id).await.unwrap().unwrap().rollout;
    let current = async || release_current_all(&w.db).await.unwrap().remove(0);
    let empty = w.release(app, "succeeded", None).await;
    assert_eq!(rollout(empty).await, Rollout::Passed);
    let first = w.release(app, "succeeded", Some(slug)).await;
    let now = current().await;
    assert_eq!((now.id, now.rollout, now.watch_seconds), (first, Rollout::Waiting, 10));
    assert_eq!(now.base_id, None, "there is nothing to go back to without code");
    release_watch(&w.db, first, at(1)).await.unwrap();
    assert_eq!(rollout(first).await, Rollout::Watching);
    // One that falls and is not replaced is still the current one, and can pass later.
    let fall = |is_replaced| Fall { dyno: "web.1", why: "it exited", is_replaced };
    assert!(release_fall(&w.db, first, fall(false), at(2)).await.unwrap());
    assert!(!release_fall(&w.db, first, fall(true), at(2)).await.unwrap());
    assert_eq!((current().await.id, rollout(first).await), (first, Rollout::Failed));
    assert!(release_pass(&w.db, first, at(3)).await.unwrap());
    let row = release_info(&w.db, first).await.unwrap().unwrap();
    assert_eq!((row.rollout, row.error, row.failed_dyno), (Rollout::Passed, None, None));

    let second = w.release(app, "succeeded", Some(slug)).await;
    let now = current().await;
    assert_eq!((now.id, now.base_id, now.base_version, now.base_slug_id), (second, Some(first), Some(2), Some(slug)));
    let third = w.release(app, "succeeded", Some(slug)).await;
    release_supersede(&w.db, app, at(4)).await.unwrap();
    assert_eq!((rollout(second).await, rollout(third).await), (Rollout::Superseded, Rollout::Waiting));
    assert!(!release_pass(&w.db, second, at(5)).await.unwrap());
    assert_eq!(release_successor(&w.db, app, 3, slug).await.unwrap().unwrap().id, third);
    assert!(release_successor(&w.db, app, 4, slug).await.unwrap().is_none());
    assert_eq!(current().await.base_id, Some(first), "one that was replaced was never good");
    assert!(release_fall(&w.db, third, fall(true), at(6)).await.unwrap());
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
        release_note_up(&mut w.db.acquire().await.unwrap(), up, down, at(now)).await.unwrap();
        let row = release_info(&w.db, id).await.unwrap().unwrap();
        (row.up_at, row.up_since, row.up_seconds)
    };
    assert!(release_up_all(&w.db).await.unwrap().is_empty());
    assert_eq!(note(&[id], &[], 10).await, (Some(at(10)), Some(at(10)), 0));
    assert_eq!(note(&[id], &[], 11).await, (Some(at(10)), Some(at(10)), 0));
    assert_eq!(release_up_all(&w.db).await.unwrap(), [id]);
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
    let found = release_types(&w.db, &[old]).await.unwrap();
    let found: Vec<_> = found.iter().map(|t| format!("{} {} {} {}", t.kind, t.quantity, t.size, t.command)).collect();
    assert_eq!(found, ["web 3 Basic old web", "worker 3 Basic old worker"]);
}
