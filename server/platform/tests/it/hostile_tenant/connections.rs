//! Attempts to take all connections to the database.

use axum::body::BodyDataStream;
use dyno::fake::Reaction;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

use crate::{
    builds,
    world::{World, path, slug_archive, until},
};

/// The number of connections that wait for a lock.
async fn waiting(t: &World) -> i64 {
    let text = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    sqlx::query_scalar(text).fetch_one(&t.db).await.unwrap()
}

#[tokio::test]
async fn requests_that_wait_for_their_app_leave_connections_to_others() {
    let t = World::start().await;
    let app = t.app("busy").await;
    let slug = t.slug("busy", &[("web", "./server")]).await;
    let mut held = t.db.begin().await.unwrap();
    store::apps::app_lock(&mut *held, app.id).await.unwrap();
    let release = || t.owner.post("/apps/busy/releases", json!({ "slug": slug }));
    let asked = futures::future::join_all((0..40).map(|_| release()));
    let others = async {
        until("they wait for the app", async || if waiting(&t).await >= 6 { Ok(()) } else { Err(String::new()) }).await;
        assert_eq!(t.stranger.get("/apps").await.status, 200);
        assert_eq!(t.stranger.post("/apps", json!({ "name": "other" })).await.status, 201);
        assert_eq!(waiting(&t).await, 6);
        held.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(asked, others);
    // They only had to wait: none of them needs a connection that another one holds.
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
}

/// Reads the available part of each response, and then stops.
async fn look(responses: &mut [BodyDataStream]) {
    for response in responses {
        let _ = futures::poll!(response.next());
    }
}

#[tokio::test]
async fn whoever_stops_reading_a_download_keeps_no_connection() {
    let t = World::start().await;
    let source = t.stranger.post("/sources", json!({})).await.json();
    let url = |which: &str| path(source["source_blob"][which].as_str().unwrap());
    assert_eq!(t.anonymous.ask("PUT", &url("put_url")).body(vec![0_u8; 1 << 20]).await.status, 200);
    let get = url("get_url");
    let open = async |_: usize| t.anonymous.ask("GET", &get).open().await.into_body().into_data_stream();
    let mut responses = futures::future::join_all((0..40).map(open)).await;
    look(&mut responses).await;
    assert_eq!(t.owner.get("/apps").await.status, 200);
    // Each checks again whether its reader still has access.
    let token = t.stranger.post("/oauth/authorizations", json!({})).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(t.stranger.delete(&format!("/oauth/authorizations/{token}")).await.status, 200);
    look(&mut responses).await;
    assert_eq!(t.owner.get("/apps").await.status, 200);
}

#[tokio::test]
async fn whoever_stops_reading_an_output_keeps_no_connection() {
    let t = World::start().await;
    t.app("dusk").await;
    let empty = t.owner.post("/sources", json!({})).await.json();
    let build = crate::builds::build(&t, "dusk", empty["source_blob"]["get_url"].as_str().unwrap()).await;
    crate::builds::ended(&t, "dusk", &build).await;
    let url = path(&build.output_stream_url);
    let open = async |_: usize| t.anonymous.ask("GET", &url).open().await.into_body().into_data_stream();
    let mut responses = futures::future::join_all((0..40).map(open)).await;
    for _ in 0..5 {
        look(&mut responses).await;
        assert_eq!(t.stranger.get("/apps").await.status, 200);
    }
}

/// The URLs of a slug and a source of the stranger's, of the output of a running build, and of a log.
async fn downloads(t: &World) -> [String; 4] {
    let made = async |path: &str, body: Value| {
        let made = t.stranger.post(path, body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()
    };
    let upload = async |url: &Value| {
        let put = t.anonymous.ask("PUT", &path(url.as_str().unwrap())).body(slug_archive()).await;
        assert_eq!(put.status, 200, "{put:?}");
    };
    made("/apps", json!({ "name": "dawn" })).await;
    let slug = made("/apps/dawn/slugs", json!({ "process_types": { "web": "./server" } })).await;
    upload(&slug["blob"]["url"]).await;
    let slug = t.stranger.get(&format!("/apps/dawn/slugs/{}", slug["id"].as_str().unwrap())).await.json();
    let source = made("/sources", Value::Null).await;
    upload(&source["source_blob"]["put_url"]).await;
    // It does not end by itself.
    t.driver.react(|_| Reaction::Run);
    let build = json!({ "source_blob": { "url": builds::source(t).await } });
    let build = made("/apps/dawn/builds", build).await;
    let log = made("/apps/dawn/log-sessions", json!({ "tail": true })).await;
    [&slug["blob"]["url"], &source["source_blob"]["get_url"], &build["output_stream_url"], &log["logplex_url"]]
        .map(|url| path(url.as_str().unwrap()))
}

#[tokio::test]
async fn unread_bodies_hold_no_connection() {
    let t = World::start().await;
    let many = t.platform.db().options().get_max_connections() + 10;
    for address in downloads(&t).await {
        let mut bodies = Vec::new();
        for _ in 0..many {
            let answer = t.anonymous.ask("GET", &address).open().await;
            assert_eq!(answer.status(), 200, "{address}");
            bodies.push(answer.into_body().into_data_stream());
        }
        // Everybody's access has to be checked.
        let token = t.stranger.post("/oauth/authorizations", json!({})).await.json();
        let revoked = t.stranger.delete(&format!("/oauth/authorizations/{}", token["id"].as_str().unwrap())).await;
        assert_eq!(revoked.status, 200, "{revoked:?}");
        for body in &mut bodies {
            let _ = body.next().now_or_never();
        }
        let answer = t.owner.get("/apps").await;
        assert_eq!(answer.status, 200, "{address}: {answer:?}");
    }
}

#[tokio::test]
async fn downloads_of_an_account_are_limited() {
    let t = World::start().await;
    let [slug, source, ..] = downloads(&t).await;
    for address in [slug, source] {
        let open = async || t.anonymous.ask("GET", &address).open().await;
        let mut opened = Vec::new();
        let refused = loop {
            let answer = open().await;
            match answer.status().as_u16() {
                200 => opened.push(answer),
                status => break status,
            }
            assert!(opened.len() <= 50);
        };
        assert_eq!((refused, opened.len()), (429, 50));
        drop(opened);
        let again = t.anonymous.ask("GET", &address).await;
        assert!(again.status == 200 && again.body == slug_archive(), "{again:?}");
    }
}
