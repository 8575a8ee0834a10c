//! Releases: every query.

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
    assert_eq!(release_config(&w.db, second).await.unwrap().as_deref(), Some(&b"sealed"[..]));
    assert_eq!(release_status(&w.db, second).await.unwrap().as_deref(), Some("pending"));
    assert!(release_has_slug(&w.db, app, slug).await.unwrap());
    assert!(!release_has_slug(&w.db, other, slug).await.unwrap());
    assert_eq!(release_at(&w.db, app, 1).await.unwrap().unwrap().id, first);
    assert!(release_at(&w.db, app, 3).await.unwrap().is_none());
    let ids = |rows: Vec<Row>| rows.into_iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(release_list(&w.db, app, &all(&LIST)).await.unwrap().rows), [first, second]);
    assert_eq!(ids(release_newest(&w.db, app, 1).await.unwrap()), [second]);
    let sorted = |mut ids: Vec<uuid::Uuid>| {
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
    assert!(!release_move(&w.db, second, "failed", "succeeded", at(1)).await.unwrap());
    assert!(release_move(&w.db, second, "pending", "failed", at(1)).await.unwrap());
    release_has_output(&w.db, second).await.unwrap();
    assert!(release_info(&w.db, second).await.unwrap().unwrap().has_output);
    assert_eq!(release_newest_slug(&w.db, app).await.unwrap(), None);
    // Repeating it changes nothing.
    let new = New {
        id: first,
        app,
        status: "failed",
        description: "",
        account: w.account.id,
        slug: None,
        config: b"",
        commit: None,
        now: at(5),
    };
    assert_eq!(release_create(&mut w.db.acquire().await.unwrap(), &new).await.unwrap(), 1);
    assert_eq!(release_list(&w.db, app, &all(&LIST)).await.unwrap().rows.len(), 2);
}
