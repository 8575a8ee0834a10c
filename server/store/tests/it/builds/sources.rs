//! Sources: every query.

use api::ids::SourceId;
use store::sources::*;

use crate::world::{World, at};

#[tokio::test]
async fn sources() {
    let w = World::start().await;
    let (old, new) = (SourceId::now_v7(), SourceId::now_v7());
    source_create(&w.db, old, w.account.id, at(0)).await.unwrap();
    source_create(&w.db, new, w.account.id, at(10)).await.unwrap();
    assert_eq!(source_uploaded(&w.db, new, 42).await.unwrap(), Some(w.account.id));
    let gone = SourceId::now_v7();
    assert_eq!(source_uploaded(&w.db, gone, 42).await.unwrap(), None);
    assert_eq!(source_ids_unknown(&w.db, &[new, gone]).await.unwrap(), [gone]);
    assert_eq!(source_sweep(&w.db, at(5)).await.unwrap(), [old]);
    assert!(source_sweep(&w.db, at(5)).await.unwrap().is_empty());
}
