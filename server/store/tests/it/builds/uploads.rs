//! Uploads: every query.

use api::ids::{ServerId, UploadId};
use store::uploads::*;
use uuid::Uuid;

use crate::world::{World, at};

#[tokio::test]
async fn an_address_has_one_writer() {
    let w = World::start().await;
    let id = Uuid::now_v7();
    let (one, other) = (UploadId::now_v7(), UploadId::now_v7());
    let (here, there) = (ServerId::now_v7(), ServerId::now_v7());
    assert!(upload_begin(&w.db, id, (here, one), at(0), at(10)).await.unwrap());
    assert!(!upload_begin(&w.db, id, (here, other), at(5), at(12)).await.unwrap());
    upload_renew(&w.db, id, one, at(20)).await.unwrap();
    upload_renew(&w.db, id, other, at(90)).await.unwrap();
    assert!(!upload_begin(&w.db, id, (here, other), at(15), at(22)).await.unwrap());
    // It is no longer renewed.
    assert!(upload_begin(&w.db, id, (here, other), at(21), at(30)).await.unwrap());
    assert!(!upload_end(&w.db, id, one).await.unwrap());
    assert!(upload_end(&w.db, id, other).await.unwrap());
    assert!(upload_begin(&w.db, id, (here, one), at(0), at(40)).await.unwrap());
    upload_sweep(&w.db, at(41)).await.unwrap();
    assert!(upload_begin(&w.db, id, (here, other), at(0), at(42)).await.unwrap());
    // The start of another server does not affect the server of that writer.
    upload_take_over(&w.db, there, at(30)).await.unwrap();
    assert!(!upload_begin(&w.db, id, (there, one), at(41), at(43)).await.unwrap());
    upload_take_over(&w.db, here, at(30)).await.unwrap();
    assert!(upload_begin(&w.db, id, (here, one), at(41), at(43)).await.unwrap());
}
