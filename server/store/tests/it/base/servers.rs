//! Servers: an id belongs to one process at a time.

use api::ids::ServerId;
use store::servers::server_hold;

use crate::world::World;

#[tokio::test]
async fn an_id_belongs_to_one_process_as_long_as_it_is_connected() {
    let w = World::start().await;
    let id = ServerId::now_v7();
    let mut held = server_hold(&w.db, id).await.unwrap().expect("nobody holds it");
    assert!(server_hold(&w.db, id).await.unwrap().is_none());
    assert!(server_hold(&w.db, ServerId::now_v7()).await.unwrap().is_some());
    assert!(held.server_hold_on(&w.db).await.unwrap());
    // Postgres was restarted, and another process came first.
    let end = "select pg_terminate_backend(pid, 10000) from pg_locks where locktype = 'advisory' and pid is not null
                   and database = (select oid from pg_database where datname = current_database())";
    let lose = async || {
        let ended: Vec<bool> = sqlx::query_scalar(end).fetch_all(&w.db).await.unwrap();
        // Of connections that were just closed, too.
        assert!(ended.contains(&true));
    };
    lose().await;
    let other = server_hold(&w.db, id).await.unwrap().expect("it is free");
    assert!(!held.server_hold_on(&w.db).await.unwrap());
    drop(other);
    // Then nobody did.
    let mut held = server_hold(&w.db, ServerId::now_v7()).await.unwrap().unwrap();
    lose().await;
    assert!(held.server_hold_on(&w.db).await.unwrap());
    held.server_let_go().await.unwrap();
}
