//! Open sockets, logs and outputs end when their reader loses access.

use std::time::Duration;

use api::{
    ids::{AccountId, AuthorizationId},
    live::{ToBrowser, Topic},
    log_sessions::LogSessionCreate,
    team_members::TeamMemberSave,
};
use axum::body::Body;
use base::secrets::Bearer;
use dyno::fake::Reaction;
use futures::StreamExt as _;
use identity::{Can, watch::Watch};
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    bus::listening,
    live::{bearer, open, serve},
    teams::somebody,
    world::{Actor, LONG, World, path, until},
};

/// A world in which bob is a member of ada's team, which owns the app dusk. Returns ada and bob.
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
    // The first lines have arrived, so it is open.
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
async fn a_lost_right_is_reported() {
    let t = World::start().await;
    let (ada, bob) = two(&t).await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(bob.token.as_ref().unwrap())).await.unwrap_or_else(|s| panic!("{s}"));
    socket.subscribe(1, Topic::Logs { app: "dusk".into(), filter: Default::default(), after: None, lines: None }).await;
    socket.subscribe(2, Topic::App { app: "dusk".into() }).await;
    socket.value(2, |status| status["permissions"].as_array().unwrap().len() == 7).await;
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
async fn last_output_of_a_crashed_dyno_requires_log_access() {
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

    // Revoking a token ends the streams that were opened with it; those of others continue.
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
    // An upload in progress.
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
    // Reinstating the account restores nothing: its owner has to sign in again.
    assert_eq!(bob.get("/apps/dusk").await.status, 401);
}

/// How long a stream may stay open: less than the interval of its own checks.
const SOON: Duration = Duration::from_secs(30);

async fn id_of(who: &Actor) -> AccountId {
    who.account_info().await.unwrap().id
}

/// Waits until access to a stream is lost. Returns the number of queries.
async fn lost(t: &World, watch: JoinHandle<()>) -> usize {
    tokio::time::timeout(SOON, watch).await.expect("access is lost").unwrap();
    t.statements()
}

/// Changes of many kinds that do not affect the access of others.
async fn make_noise(t: &World) {
    let eve = somebody(t, "eve").await;
    let member = TeamMemberSave { email: "stranger@example.com".into(), role: "viewer".into() };
    eve.post("/teams", json!({ "name": "zeta" })).await;
    eve.post("/teams/apps", json!({ "name": "dawn", "team": "zeta" })).await;
    eve.post("/teams/zeta/service-accounts", json!({ "name": "bot" })).await;
    eve.post("/teams/zeta/service-accounts/bot/authorizations", json!({})).await;
    eve.delete("/teams/zeta/service-accounts/bot").await;
    let client = json!({ "name": "Bot", "redirect_uri": "https://bot.example.com" });
    let client = eve.post("/oauth/clients", client).await.json()["id"].as_str().unwrap().to_owned();
    for n in 0..3 {
        assert_eq!(eve.patch("/account", json!({ "name": format!("Eve {n}") })).await.status, 200);
        assert_eq!(eve.patch("/teams/zeta", json!({ "name": format!("zeta{n}") })).await.status, 200);
        assert_eq!(eve.patch(&format!("/teams/zeta{n}"), json!({ "name": "zeta" })).await.status, 200);
        eve.team_member_save("zeta", &member).await.unwrap();
        eve.team_member_delete("zeta", &member.email).await.unwrap();
        let guest = json!({ "user": "stranger@example.com", "permissions": ["view"] });
        assert_eq!(eve.post("/teams/apps/dawn/collaborators", guest).await.status, 201);
        assert_eq!(eve.delete("/teams/apps/dawn/collaborators/stranger@example.com").await.status, 200);
        eve.authorization_delete(&token_of(&eve).await.0).await.unwrap();
        assert_eq!(
            eve.post(&format!("/oauth/clients/{client}/actions/rotate-credentials"), json!({})).await.status,
            200
        );
    }
    assert_eq!(eve.delete(&format!("/oauth/clients/{client}")).await.status, 200);
    assert_eq!(eve.delete("/apps/dawn").await.status, 200);
}

#[tokio::test]
async fn changes_of_others_cost_an_open_stream_no_query() {
    let t = World::start().await;
    let (ada, bob) = two(&t).await;
    let carl = somebody(&t, "carl").await;
    let member = TeamMemberSave { email: "carl@example.com".into(), role: "member".into() };
    ada.team_member_save("acme", &member).await.unwrap();
    let app = ada.app_info("dusk").await.unwrap().id;
    listening(&t).await;
    // The first statements were those of the thread that created the database, which are not counted.
    tracing::callsite::rebuild_interest_cache();
    let watch =
        async |who: &Actor| Watch::begin(&t.platform, id_of(who).await, None, app, Can::View).await.unwrap().unwrap();
    let counted = |watch: Watch| tokio::spawn(tracing::info_span!("counted").in_scope(|| watch.lost()));
    let (before, his) = (t.statements(), counted(watch(&bob).await));
    ada.team_member_delete("acme", "bob@example.com").await.unwrap();
    let one_check = lost(&t, his).await - before;
    assert!(one_check > 0);

    let (before, his) = (t.statements(), counted(watch(&carl).await));
    make_noise(&t).await;
    ada.patch("/account", json!({ "name": "Ada" })).await;
    ada.patch("/teams/acme", json!({ "name": "apex" })).await;
    ada.team_member_delete("apex", "carl@example.com").await.unwrap();
    assert_eq!(lost(&t, his).await - before, one_check);
}

#[tokio::test]
async fn streams_of_a_program_end_with_its_token() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    listening(&t).await;
    let bot = ada.post("/teams/acme/service-accounts", json!({ "name": "bot" })).await.json();
    let account = bot["id"].as_str().unwrap().parse().unwrap();
    let tokens = "/teams/acme/service-accounts/bot/authorizations";
    let open = async |account, credential| {
        Watch::of_bearer(&t.platform, Bearer { account, credential }).await.unwrap().unwrap()
    };
    let token = async || ada.post(tokens, json!({})).await.json()["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let (first, second) = (token().await, token().await);
    let (one, other) =
        (tokio::spawn(open(account, first).await.lost()), tokio::spawn(open(account, second).await.lost()));
    assert_eq!(ada.delete(&format!("{tokens}/{first}")).await.status, 200);
    lost(&t, one).await;
    assert!(!other.is_finished());
    assert_eq!(ada.delete("/teams/acme/service-accounts/bot").await.status, 200);
    lost(&t, other).await;

    let clerk = ada.post("/teams/acme/service-accounts", json!({ "name": "clerk" })).await.json();
    let made = ada.post("/teams/acme/service-accounts/clerk/authorizations", json!({})).await.json();
    let id = |made: &serde_json::Value| made["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let one = tokio::spawn(open(id(&clerk).into(), id(&made)).await.lost());
    assert_eq!(ada.delete("/teams/acme").await.status, 200);
    lost(&t, one).await;

    // All tokens of an OAuth client, whoever authorized it.
    let client = json!({ "name": "Bot", "redirect_uri": "https://bot.example.com" });
    let client = id(&ada.post("/oauth/clients", client).await.json());
    let (token, _) = token_of(&t.stranger).await;
    let token: AuthorizationId = token.parse().unwrap();
    store::oauth_clients::oauth_grant_create(&t.db, token, client.into(), &[1]).await.unwrap();
    let one = tokio::spawn(open(id_of(&t.stranger).await, token.get()).await.lost());
    assert_eq!(ada.delete(&format!("/oauth/clients/{client}")).await.status, 200);
    lost(&t, one).await;
}

#[tokio::test]
async fn requests_to_pre_signed_urls_are_counted() {
    let t = World::start().await;
    assert_eq!(t.stranger.post("/apps", json!({ "name": "dawn" })).await.status, 201);
    let source = t.stranger.post("/sources", serde_json::Value::Null).await.json();
    let slug = t.stranger.post("/apps/dawn/slugs", json!({ "process_types": { "web": "./server" } })).await.json();
    let session = t.stranger.post("/apps/dawn/log-sessions", json!({ "tail": false })).await.json();
    let blob = |made: &serde_json::Value, url: &str| path(made[url].as_str().unwrap());
    let urls = [
        ("GET", blob(&source["source_blob"], "get_url")),
        ("PUT", blob(&source["source_blob"], "put_url")),
        ("PUT", blob(&slug["blob"], "url")),
        ("GET", blob(&session, "logplex_url")),
    ];
    let account = id_of(&t.stranger).await;
    for (method, url) in &urls {
        while t.platform.rate_limits().take_for_url(account).is_ok() {}
        assert_eq!(t.anonymous.ask(method, url).await.status, 429, "{method} {url}");
    }
    // Requests with a token are counted apart.
    assert_eq!(t.stranger.get("/apps/dawn").await.status, 200);
}
