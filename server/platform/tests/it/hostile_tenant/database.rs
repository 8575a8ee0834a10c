//! Attempts to deprive others of database connections.

use std::{future::IntoFuture as _, time::Duration};

use api::ids::AccountId;
use serde_json::json;

use crate::{
    oauth_clients::Bot,
    world::{World, until},
};

/// Waits until exactly this many connections wait for a lock in the database, not counting the platform's own work.
/// Workers that wait for one another to lease a job do not count: there may be several.
pub async fn as_many_wait(t: &World, most: i64) {
    let waiting = async || -> i64 {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock' and query not like '%7305%'";
        sqlx::query_scalar(waiting).fetch_one(&t.db).await.unwrap()
    };
    until("they wait", async || match waiting().await {
        found if found >= most => Ok(()),
        found => Err(format!("{found} wait")),
    })
    .await;
    for _ in 0..20 {
        let now = waiting().await;
        assert!((most..=most + 2).contains(&now), "{now} wait");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn those_who_read_much_at_once_take_few_connections() {
    let t = World::start().await;
    let mut held = t.db.begin().await.unwrap();
    sqlx::query("lock table app_transfers in access exclusive mode").execute(&mut *held).await.unwrap();
    let ask = |_| t.stranger.ask("GET", "/account/app-transfers").into_future();
    let asked = tokio::spawn(futures::future::join_all((0..40).map(ask).collect::<Vec<_>>()));
    as_many_wait(&t, 16).await;
    assert_eq!(t.owner.get("/account").await.status, 200);
    held.rollback().await.unwrap();
    let answers = asked.await.unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

#[tokio::test]
async fn those_who_wait_for_a_quota_take_few_connections() {
    let t = World::start().await;
    assert_eq!(t.stranger.post("/apps", json!({ "name": "dusk" })).await.status, 201);
    let (id,): (AccountId,) =
        sqlx::query_as("select owner_id from apps where name = 'dusk'").fetch_one(&t.db).await.unwrap();
    let owner = store::quotas::Owner { account: Some(id), team: None };
    let mut held = t.db.begin().await.unwrap();
    store::quotas::quota_lock(&mut *held, owner).await.unwrap();
    let ask = |_| t.stranger.ask("GET", "/dusk.git/info/refs?service=git-receive-pack").into_future();
    let asked = tokio::spawn(futures::future::join_all((0..10).map(ask).collect::<Vec<_>>()));
    as_many_wait(&t, 6).await;
    held.rollback().await.unwrap();
    let answers = asked.await.unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

#[tokio::test]
async fn clients_that_refresh_tokens_at_once_take_few_connections() {
    let bot = Bot::start().await;
    let got = bot.exchange(&bot.code("read", &[]).await).await.json();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", got["refresh_token"].as_str().unwrap())];
    let mut held = bot.t.db.begin().await.unwrap();
    sqlx::query("select 1 from oauth_authorizations for update").execute(&mut *held).await.unwrap();
    let asked = futures::future::join_all((0..15).map(|_| bot.token(&fields)));
    let freed = async {
        as_many_wait(&bot.t, 6).await;
        held.rollback().await.unwrap();
    };
    let (answers, ()) = futures::future::join(asked, freed).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

#[tokio::test]
async fn whoever_listens_takes_no_connection_of_the_pool() {
    let t = World::start().await;
    let pool = t.platform.db();
    let mut all = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        all.push(pool.acquire().await.expect("nobody keeps a connection"));
    }
}
