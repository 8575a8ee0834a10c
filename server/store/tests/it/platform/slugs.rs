//! Slugs: every query.

use api::ids::{ReleaseId, SlugId};
use store::slugs::*;
use uuid::Uuid;

use crate::world::{World, at};

#[tokio::test]
async fn slugs() {
    let w = World::start().await;
    let (app, other) = (w.app("dusk").await, w.app("dawn").await);
    let row = w.slug_row(app, None);
    slug_create(&w.db, &row).await.unwrap();
    slug_create(&w.db, &row).await.unwrap();
    slug_uploaded(&w.db, row.id, "SHA256:a", 7, at(1)).await.unwrap();
    slug_uploaded(&w.db, row.id, "SHA256:b", 8, at(2)).await.unwrap();
    let found = slug_info(&w.db, row.id).await.unwrap().unwrap();
    assert_eq!((found.checksum.as_deref(), found.size), (Some("SHA256:a"), Some(7)));
    assert_eq!(found.process_types, row.process_types);

    for (app, checksum) in [(app, "SHA256:shared"), (other, "SHA256:shared"), (app, "SHA256:own")] {
        slug_create(&w.db, &w.slug_row(app, Some(checksum))).await.unwrap();
    }
    assert_eq!(slug_copy(&w.db, &found, app).await.unwrap().unwrap().id, row.id);
    assert!(slug_copy(&w.db, &found, other).await.unwrap().is_none());
    assert!(slug_stays(&w.db, row.id).await.unwrap() && !slug_stays(&w.db, SlugId::now_v7()).await.unwrap());
    // An app cannot release a slug of another app, which may be removed with that app.
    let foreign = sqlx::query("update releases set slug_id = $1 where id = $2");
    let release = w.release(other, "succeeded", None).await;
    let refused = foreign.bind(row.id).bind(release).execute(&w.db).await.unwrap_err();
    assert_eq!(store::broken_constraint(&refused).as_deref(), Some("releases_slug_fkey"));

    let mut alone = slug_checksums_of_app_alone(&w.db, app).await.unwrap();
    alone.sort();
    assert_eq!(alone, ["SHA256:a", "SHA256:own"]);

    let asked = ["SHA256:a", "SHA256:b"].map(String::from);
    assert_eq!(slug_checksums_unnamed(&w.db, &asked).await.unwrap(), ["SHA256:b"]);
    for (checksum, except, named) in
        [("SHA256:own", None, true), ("SHA256:own", Some(app), false), ("SHA256:b", None, false)]
    {
        assert_eq!(slug_checksum_is_named(&w.db, checksum, except).await.unwrap(), named, "{checksum} {except:?}");
    }
    assert!(slug_checksum_is_named(&w.db, "SHA256:shared", Some(app)).await.unwrap());
}

#[tokio::test]
async fn an_archive_that_is_held_is_not_taken() {
    let w = World::start().await;
    let (mut one, mut other) = (w.db.begin().await.unwrap(), w.db.begin().await.unwrap());
    slug_archive_hold(&mut *one, "SHA256:a").await.unwrap();
    slug_archive_hold(&mut *other, "SHA256:a").await.unwrap();
    other.rollback().await.unwrap();
    let mut third = w.db.begin().await.unwrap();
    assert!(!slug_archive_take(&mut *third, "SHA256:a").await.unwrap());
    assert!(slug_archive_take(&mut *third, "SHA256:b").await.unwrap());
    one.rollback().await.unwrap();
    assert!(slug_archive_take(&mut *third, "SHA256:a").await.unwrap());
}

#[tokio::test]
async fn what_has_to_be_unpacked() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    assert!(slug_needed_all(&w.db, 3, at(0)).await.unwrap().is_empty());
    let old = w.release(app, "succeeded", Some(slug)).await;
    let newest = w.release(app, "succeeded", Some(slug)).await;
    // An app without dynos needs nothing now.
    let seen = async || {
        let needed = slug_needed_all(&w.db, 3, at(0)).await.unwrap();
        needed.iter().map(|n| (n.release_id, n.now)).collect::<Vec<(ReleaseId, bool)>>()
    };
    assert_eq!(seen().await, [(old, false), (newest, false)]);
    for (kind, quantity, now) in [("release", 1, false), ("clock", 0, false), ("web", 1, true)] {
        sqlx::query(
            "insert into formation (id, app_id, type, command, quantity, size, created_at, updated_at)
             values ($1, $2, $3, 'x', $4, 'Basic', now(), now())",
        )
        .bind(Uuid::now_v7())
        .bind(app)
        .bind(kind)
        .bind(quantity)
        .execute(&w.db)
        .await
        .unwrap();
        assert_eq!(seen().await, [(old, false), (newest, now)], "{kind}");
    }
    // The one that is to be replaced is needed until then, and one between them is not.
    let set = "update releases set rollout = $2 where id = $1";
    sqlx::query(set).bind(old).bind("passed").execute(&w.db).await.unwrap();
    assert_eq!(seen().await, [(old, true), (newest, true)]);
    let between = w.release(app, "succeeded", Some(slug)).await;
    sqlx::query(set).bind(between).bind("superseded").execute(&w.db).await.unwrap();
    assert_eq!(seen().await, [(old, true), (newest, true)]);
    sqlx::query(set).bind(newest).bind("passed").execute(&w.db).await.unwrap();
    assert_eq!(seen().await, [(old, false), (newest, true)]);
    let needed = slug_needed_all(&w.db, 3, at(0)).await.unwrap();
    assert!(needed.iter().all(|n| n.payer == w.account.id && !n.busy && !n.hopeless));

    slug_fault(&w.db, slug, Some("it is no archive"), true).await.unwrap();
    assert_eq!(slug_info(&w.db, slug).await.unwrap().unwrap().fault.as_deref(), Some("it is no archive"));
    assert!(slug_needed_all(&w.db, 1, at(0)).await.unwrap().iter().all(|n| n.hopeless));
    slug_fault(&w.db, slug, None, false).await.unwrap();
    assert!(!slug_needed_all(&w.db, 1, at(0)).await.unwrap()[0].hopeless);
    assert!(!slug_runs(&w.db, app, slug).await.unwrap());
}
