//! Open sockets, logs and outputs end when their reader loses access.

use api::{
    live::{ToBrowser, Topic},
    log_sessions::LogSessionCreate,
    team_members::TeamMemberSave,
};
use axum::body::Body;
use dyno::fake::Reaction;
use futures::StreamExt as _;
use serde_json::json;

use crate::{
    live::{bearer, open, serve},
    teams::somebody,
    world::{Actor, LONG, World, path, until},
};

/// A world in which bob is a member of ada's team, whose app is dusk. Ada and bob.
async fn two(t: &World) -> (Actor, Actor) {
    let (ada, bob) = (somebody(t, "ada").await, somebody(t, "bob").await);
    ada.post("/teams", json!({ "name": "acme" })).await;
    ada.post("/teams/apps", json!({ "name": "dusk", "team": "acme" })).await;
    let member = TeamMemberSave { email: "bob@example.com".into(), role: "member".into() };
    ada.team_member_save("acme", &member).await.unwrap();
    (ada, bob)
}

async fn tail(t: &World, who: &Actor) -> (String, axum::body::BodyDataStream) {
    let create = LogSessionCreate { tail: Some(true), ..LogSessionCreate::default() };
    let session = who.log_session_create("dusk", &create).await.unwrap();
    let address = path(&session.logplex_url);
    let body: Body = t.anonymous.ask("GET", &address).open().await.into_body();
    let mut stream = body.into_data_stream();
    // The first lines come, so that it is open.
    let first = tokio::time::timeout(LONG, stream.next()).await.expect("a line comes").unwrap().unwrap();
    assert!(!first.is_empty());
    (address, stream)
}

async fn ends(mut stream: axum::body::BodyDataStream) {
    let rest = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(LONG, rest).await.expect("the stream ends");
}

#[tokio::test]
async fn a_socket_shows_no_more_of_an_app_that_one_was_taken_off() {
    let t = World::start().await;
    let (ada, bob) = two(&t).await;
    bob.post("/apps", json!({ "name": "dawn" })).await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(bob.token.as_ref().unwrap())).await.unwrap_or_else(|s| panic!("{s}"));
    socket.subscribe(1, Topic::Apps).await;
    socket.value(1, |apps| apps.as_array().unwrap().len() == 2).await;
    socket.subscribe(2, Topic::App { app: "dusk".into() }).await;
    socket.value(2, |_| true).await;
    let logs = |app: &str| Topic::Logs { app: app.into(), filter: Default::default(), after: None, lines: None };
    socket.subscribe(3, logs("dusk")).await;
    socket.subscribe(4, Topic::Metrics { app: "dusk".into() }).await;
    socket.subscribe(5, logs("dawn")).await;
    let (mut heard, mut apps) = (0, false);
    while heard < 2 {
        heard += usize::from(matches!(socket.hear().await, Some(ToBrowser::Lines { .. })));
    }
    ada.team_member_delete("acme", "bob@example.com").await.unwrap();
    let mut failed = Vec::new();
    while failed.len() < 3 || !apps {
        match socket.hear().await.expect("the socket stays open") {
            ToBrowser::Failed { id, error } => {
                assert_eq!((error.status, error.message.as_str()), (404, "Couldn't find that app."));
                failed.push(id);
            }
            ToBrowser::Value { id: 1, value } => apps |= value.as_array().unwrap().len() == 1,
            _ => {}
        }
    }
    failed.sort_unstable();
    assert_eq!(failed, [2, 3, 4]);
    assert_eq!(bob.get("/apps/dusk").await.status, 404);
}

#[tokio::test]
async fn what_a_role_loses_is_named() {
    let t = World::start().await;
    let (ada, bob) = two(&t).await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(bob.token.as_ref().unwrap())).await.unwrap_or_else(|s| panic!("{s}"));
    socket.subscribe(1, Topic::Logs { app: "dusk".into(), filter: Default::default(), after: None, lines: None }).await;
    socket.subscribe(2, Topic::App { app: "dusk".into() }).await;
    socket.value(2, |status| status["permissions"].as_array().unwrap().len() == 6).await;
    ada.patch("/teams/apps/dusk/collaborators/bob@example.com", json!({ "permissions": ["status"] })).await;
    let (mut failed, mut less) = (false, false);
    while !failed || !less {
        match socket.hear().await.expect("the socket stays open") {
            ToBrowser::Failed { id: 1, error } => {
                assert!(error.status == 403 && error.message.contains("\"logs\""), "{error:?}");
                failed = true;
            }
            ToBrowser::Value { id: 2, value } => less |= value["permissions"] == json!(["view"]),
            other => assert!(!matches!(other, ToBrowser::Failed { .. }), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_crashed_dyno_said_last_is_for_who_may_read_the_log() {
    let t = World::start().await;
    let (ada, bob) = two(&t).await;
    ada.patch("/teams/apps/dusk/collaborators/bob@example.com", json!({ "permissions": ["status"] })).await;
    t.driver.react(|_| Reaction::Exit(7));
    t.deploy("dusk", &[("web", "./server")]).await;
    until("the dyno has crashed, with its last lines", async || {
        let (hers, his) = (ada.app_status("dusk").await.unwrap(), bob.app_status("dusk").await.unwrap());
        assert!(his.dynos.iter().all(|dyno| dyno.last_lines.is_empty()), "{his:?}");
        let crashed = his.dynos.iter().any(|dyno| dyno.last_exit.is_some());
        if crashed && hers.dynos.iter().any(|d| !d.last_lines.is_empty()) { Ok(()) } else { Err(format!("{hers:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_log_that_is_open_ends_with_the_right_to_read_it() {
    let t = World::start().await;
    let (ada, bob) = two(&t).await;
    let (address, stream) = tail(&t, &bob).await;
    let (_, hers) = tail(&t, &ada).await;
    ada.team_member_delete("acme", "bob@example.com").await.unwrap();
    ends(stream).await;
    assert_eq!(t.anonymous.get(&address).await.status, 404);

    // A token that is revoked ends what was opened with it; what others opened goes on.
    let token = token_of(&ada).await;
    let (_, stream) = tail(&t, &t.actor(&token.1)).await;
    ada.authorization_delete(&token.0).await.unwrap();
    ends(stream).await;
    let mut hers = hers;
    ada.patch("/apps/dusk", json!({ "maintenance": true })).await;
    assert!(tokio::time::timeout(LONG, hers.next()).await.expect("a line comes").is_some());
}

async fn token_of(who: &Actor) -> (String, String) {
    let made = who.authorization_create(&Default::default()).await.unwrap();
    (made.id.to_string(), made.access_token.unwrap().token)
}

#[tokio::test]
async fn an_output_that_is_open_ends_with_the_right_to_read_it() {
    let t = World::start().await;
    t.platform.leave_jobs();
    let (ada, bob) = two(&t).await;
    let source = json!({ "source_blob": { "url": "https://example.com/x.tgz" } });
    let build = ada.post("/apps/dusk/builds", source).await.json();
    let of = async |who: &Actor| {
        let build = who.build_info("dusk", build["id"].as_str().unwrap()).await.unwrap();
        path(&build.output_stream_url)
    };
    let (his, hers) = (of(&bob).await, of(&ada).await);
    assert_ne!(his, hers);
    let stream = t.anonymous.ask("GET", &his).open().await;
    assert_eq!(stream.status(), 200);
    ada.patch("/teams/apps/dusk", json!({ "locked": true })).await;
    ends(stream.into_body().into_data_stream()).await;
    assert_eq!(t.anonymous.get(&his).await.status, 404);
    assert_eq!(t.anonymous.ask("GET", &hers).open().await.status(), 200);
}

#[tokio::test]
async fn addresses_end_with_the_token_that_asked_for_them() {
    let t = World::start().await;
    t.platform.leave_jobs();
    let (ada, _) = two(&t).await;
    let source = json!({ "source_blob": { "url": "https://example.com/x.tgz" } });
    ada.post("/apps/dusk/builds", source).await;
    let (id, token) = token_of(&ada).await;
    let program = t.actor(&token);
    let output = path(&program.build_info("dusk", "1").await.unwrap().output_stream_url);
    let stream = t.anonymous.ask("GET", &output).open().await;
    assert_eq!(stream.status(), 200);
    let blob = |made: serde_json::Value| path(made["source_blob"]["put_url"].as_str().unwrap());
    let made = program.post("/sources", json!({})).await.json();
    let get = made["source_blob"]["get_url"].as_str().unwrap().to_owned();
    let source = blob(made);
    assert_eq!(t.anonymous.ask("PUT", &source).body("x").await.status, 200);
    assert_eq!(t.anonymous.get(&path(&get)).await.status, 200);
    let slug = program.post("/apps/dusk/slugs", json!({ "process_types": { "web": "./server" } })).await.json();
    let slug = path(slug["blob"]["url"].as_str().unwrap());
    // An upload that is under way.
    let (feed, body) = tokio::sync::mpsc::channel::<Result<&str, std::convert::Infallible>>(1);
    let again = blob(program.post("/sources", json!({})).await.json());
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let upload = t.anonymous.ask("PUT", &again).body(body);
    let revoke = async {
        feed.send(Ok("half")).await.unwrap();
        ada.authorization_delete(&id).await.unwrap();
    };
    let (upload, ()) = tokio::time::timeout(LONG, async { tokio::join!(upload, revoke) }).await.expect("it is ended");
    assert_eq!(upload.status, 404);

    ends(stream.into_body().into_data_stream()).await;
    for address in [&output, &path(&get)] {
        assert_eq!(t.anonymous.get(address).await.status, 404, "{address}");
    }
    for address in [&source, &slug] {
        assert_eq!(t.anonymous.ask("PUT", address).body("y").await.status, 404, "{address}");
    }
    let late = ada.post("/apps/dusk/builds", json!({ "source_blob": { "url": get } })).await.error();
    assert!(late.2.contains("expired with the token"), "{late:?}");
}

#[tokio::test]
async fn who_is_suspended_is_out_at_once() {
    let t = World::start().await;
    let (_, bob) = two(&t).await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(bob.token.as_ref().unwrap())).await.unwrap_or_else(|s| panic!("{s}"));
    socket.subscribe(1, Topic::App { app: "dusk".into() }).await;
    socket.value(1, |_| true).await;
    let (address, stream) = tail(&t, &bob).await;
    assert_eq!(bob.patch("/users/ada@example.com", json!({ "suspended": true })).await.error().0, 403);
    assert_eq!(t.owner.patch("/users/~", json!({ "suspended": true })).await.error().0, 404);
    let own = t.owner.account_info().await.unwrap().email;
    assert_eq!(t.owner.patch(&format!("/users/{own}"), json!({ "suspended": true })).await.error().0, 422);
    assert_eq!(t.owner.patch("/users/bob@example.com", json!({ "suspended": 1 })).await.status, 200);
    ends(stream).await;
    loop {
        match socket.hear().await {
            Some(ToBrowser::SignedOut) | None => break,
            Some(_) => {}
        }
    }
    assert_eq!((bob.get("/account").await.status, t.anonymous.get(&address).await.status), (401, 404));
    t.owner.patch("/users/bob@example.com", json!({ "suspended": false })).await;
    // Nothing comes back with the account: whoever is let in again signs in again.
    assert_eq!(bob.get("/apps/dusk").await.status, 401);
}
