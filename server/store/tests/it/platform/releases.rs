//! Releases: every query.

use api::{ids::ReleaseId, releases::ReleaseStatus};
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
        sorted(release_current_all(&w.db, None).await.unwrap().into_iter().map(|r| r.id).collect()),
        [first, elsewhere]
    );
    let of_app = release_current_all(&w.db, Some(&[app])).await.unwrap();
    assert_eq!(of_app.into_iter().map(|r| r.id).collect::<Vec<_>>(), [first]);
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
