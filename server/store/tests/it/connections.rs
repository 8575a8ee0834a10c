//! Connections: what Postgres enforces on those of a server.

#[tokio::test]
async fn transactions_that_nobody_continues_and_waits_for_locks_are_limited() {
    let db = store::open(&store::testing::database().await).await.unwrap();
    for limit in ["idle_in_transaction_session_timeout", "lock_timeout"] {
        let set: String = sqlx::query_scalar("select current_setting($1)").bind(limit).fetch_one(&db).await.unwrap();
        assert_eq!(set, "1min", "{limit}");
    }
}
