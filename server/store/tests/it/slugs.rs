//! Slugs: every query.

use store::slugs::*;

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
    assert_eq!(slug_apps(&w.db, row.id).await.unwrap(), [app]);
    w.release(other, "succeeded", Some(row.id)).await;
    assert_eq!(slug_apps(&w.db, row.id).await.unwrap().len(), 2);

    let mut alone = slug_checksums_of_app_alone(&w.db, app).await.unwrap();
    alone.sort();
    assert_eq!(alone, ["SHA256:a", "SHA256:own"]);
}
