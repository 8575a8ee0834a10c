//! The change bus: messages arrive in order, once their transaction has been committed.

use store::bus::*;

use crate::world::World;

#[tokio::test]
async fn messages_of_committed_transactions_arrive() {
    let w = World::start().await;
    let mut listener = Listener::start(&w.db, &["jobs"]).await.unwrap();
    let mut rolled_back = w.db.begin().await.unwrap();
    change_notify(&mut *rolled_back, &["0".to_owned()]).await.unwrap();
    rolled_back.rollback().await.unwrap();
    let mut committed = w.db.begin().await.unwrap();
    change_notify(&mut *committed, &["1".to_owned(), "2".to_owned()]).await.unwrap();
    committed.commit().await.unwrap();
    sqlx::query("select pg_notify('jobs', 'test.cook')").execute(&w.db).await.unwrap();
    for expected in ["1", "2"] {
        assert_eq!(listener.next().await.unwrap(), Some(Notification::Change(expected.into())));
    }
    assert_eq!(listener.next().await.unwrap(), Some(Notification::Other("jobs".into())));
}
