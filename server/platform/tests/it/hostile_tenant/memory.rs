//! Attempts to exhaust memory, slots and turns.

use api::live::{ToServer, Topic};
use dyno::fake::Reaction;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    builds::source,
    live::{bearer, open, serve},
    world::{Actor, Answer, World, until},
};

const STRANGER: &str = "/users/stranger@example.com/quotas";

/// Sets a quota of the stranger's.
async fn allow(t: &World, quotas: Value) {
    let set = t.owner.patch(STRANGER, quotas).await;
    assert_eq!(set.status, 200, "{set:?}");
}

/// The stranger's usage of a quota, and its limit.
async fn quota(who: &Actor, name: &str) -> (i64, Option<i64>) {
    let all = who.user_quota_list("~").await.unwrap();
    let found = all.into_iter().find(|quota| quota.name == name).unwrap();
    (found.used, found.most)
}

#[tokio::test]
async fn no_text_is_kept_that_others_would_read_again_and_again() {
    let t = World::start().await;
    t.app("dusk").await;
    let long = "x".repeat(3 << 20);
    let source_blob = json!({ "url": "https://example.com/a.tgz", "version_description": long });
    for (method, path, body) in [
        ("POST", "/apps/dusk/builds", json!({ "source_blob": source_blob })),
        ("POST", "/apps/dusk/slugs", json!({ "process_types": { "web": "x".repeat(5000) } })),
        ("POST", "/apps/dusk/slugs", json!({ "process_types": { "web": "x" }, "commit_description": long })),
        ("POST", "/apps/dusk/releases", json!({ "slug": "x", "description": long })),
        ("PATCH", "/apps/dusk/config-vars", json!({ "A": "x".repeat(65 << 10) })),
        ("PATCH", "/apps/dusk", json!({ "name": long })),
        ("POST", "/oauth/clients", json!({ "name": "a", "redirect_uri": format!("https://a.test/{long}") })),
        ("POST", "/oauth/authorizations", json!({ "description": long })),
        ("POST", "/apps/dusk/log-drains", json!({ "url": format!("https://a.test/{long}") })),
        ("POST", "/filters/apps", json!({ "in": { "id": vec!["x"; 1001] } })),
    ] {
        let (status, _, message) = t.owner.ask(method, path).body(body.to_string()).await.error();
        assert_eq!(status, 422, "{method} {path}: {message:.300}");
        assert!(message.len() < 500, "{method} {path} repeats what it was told");
    }
    let query = format!("/apps/dusk/log-lines?text={}", "x".repeat(1001));
    assert_eq!(t.owner.get(&query).await.error().0, 422);
    assert_eq!(t.owner.get(&format!("/apps/dusk/log-lines?text={}", "x".repeat(20_000))).await.error().0, 422);
}

#[tokio::test]
async fn a_socket_that_sends_too_much_is_closed() {
    let t = World::start().await;
    t.app("dusk").await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    for id in 0..3000 {
        let topic = Topic::App { app: "dusk".into() };
        let said = ToServer::Subscribe { id: id % 8, topic, differences: false };
        if socket.try_say(said).await.is_err() {
            break;
        }
    }
    while socket.hear().await.is_some() {}
}

#[tokio::test]
async fn sockets_of_an_account_are_limited() {
    let t = World::start().await;
    let host = serve(&t).await;
    let mut sockets = Vec::new();
    loop {
        match open(&host, &bearer(t.stranger.token.as_ref().unwrap())).await {
            Ok(socket) => sockets.push(socket),
            Err(status) => {
                assert_eq!(status, 429);
                break;
            }
        }
        assert!(sockets.len() <= 50);
    }
    assert_eq!(sockets.len(), 50);
    assert!(open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.is_ok(), "others are not concerned");
}

#[tokio::test]
async fn who_takes_the_last_place_twice_at_once_gets_it_once() {
    let t = World::start().await;
    allow(&t, json!({ "apps": 3 })).await;
    let made = join_all((0..8).map(|_| t.stranger.post("/apps", json!({})))).await;
    let made: Vec<u16> = made.iter().map(|answer| answer.status).collect();
    assert_eq!(made.iter().filter(|status| **status == 201).count(), 3, "{made:?}");
    let (status, id, message) = t.stranger.post("/apps", json!({})).await.error();
    assert_eq!((status, id.as_str()), (422, "quota_reached"));
    assert!(
        message.contains("may have at most 3 apps (quota \"apps\")") && message.contains("administrator"),
        "{message}"
    );
    assert_eq!(quota(&t.stranger, "apps").await, (3, Some(3)));
    // Users cannot raise their own quotas.
    assert_eq!(t.stranger.patch("/users/~/quotas", json!({ "apps": 9 })).await.status, 403);
    allow(&t, json!({ "apps": null })).await;
    assert_eq!(t.stranger.post("/apps", json!({})).await.status, 201);
}

#[tokio::test]
async fn dynos_and_their_memory_are_counted_over_all_apps() {
    let t = World::start().await;
    allow(&t, json!({ "dynos": 3, "memory_mb": 2048 })).await;
    let (dawn, dusk) = (t.stranger.post("/apps", json!({})).await, t.stranger.post("/apps", json!({})).await);
    let names = [dawn, dusk].map(|app| app.json()["name"].as_str().unwrap().to_owned());
    for name in &names {
        let app = format!("(select id from apps where name = '{name}')");
        let sql = format!(
            "insert into formation (id, app_id, type, command, quantity, size, created_at, updated_at)
             values (gen_random_uuid(), {app}, 'web', 'x', 0, 'Basic', now(), now())"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&t.db).await.unwrap();
    }
    let scale =
        async |app: &str, body: Value| t.stranger.patch(&format!("/apps/{app}/formation/web"), body).await.status;
    assert_eq!(scale(&names[0], json!({ "quantity": 2 })).await, 200);
    assert_eq!(scale(&names[1], json!({ "quantity": 2 })).await, 422);
    assert_eq!(scale(&names[1], json!({ "quantity": 1 })).await, 200);
    assert_eq!(scale(&names[1], json!({ "size": "Performance-M" })).await, 422);
    allow(&t, json!({ "dynos": 1 })).await;
    assert_eq!(scale(&names[0], json!({ "quantity": 1 })).await, 200, "to have less is never refused");
    assert_eq!(quota(&t.stranger, "memory_mb").await, (1024, Some(2048)));
}

#[tokio::test]
async fn builds_of_one_do_not_stand_before_those_of_another() {
    let t = World::start().await;
    // Builds that do not end by themselves.
    t.driver.react(|_| Reaction::Run);
    allow(&t, json!({ "pending_builds": 2 })).await;
    let url = source(&t).await;
    let build = json!({ "source_blob": { "url": url } });
    for name in ["dawn", "dusk", "noon"] {
        t.app(name).await;
        assert_eq!(t.owner.post(&format!("/apps/{name}/builds"), build.clone()).await.status, 201);
    }
    for name in ["one", "two"] {
        assert_eq!(t.stranger.post("/apps", json!({ "name": format!("app-{name}") })).await.status, 201);
        assert_eq!(t.stranger.post(&format!("/apps/app-{name}/builds"), build.clone()).await.status, 201);
    }
    let (status, _, message) = t.stranger.post("/apps/app-two/builds", build).await.error();
    assert_eq!(status, 422, "{message}");
    let place = async |who: &Actor, app: &str| who.build_list(app).await.unwrap()[0].queue_position;
    let places = [
        place(&t.owner, "dawn").await,
        place(&t.stranger, "app-one").await,
        place(&t.owner, "dusk").await,
        place(&t.stranger, "app-two").await,
        place(&t.owner, "noon").await,
    ];
    assert_eq!(places, [0, 1, 2, 3, 4]);
    // Queued builds hold no worker.
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from jobs where kind = 'builds.run'").fetch_one(&t.db).await.unwrap();
    assert_eq!(jobs, 1);
}

#[tokio::test]
async fn repositories_that_are_full_take_nothing_and_pushes_at_once_no_more_than_there_is_room_for() {
    let t = World::start().await;
    assert_eq!(t.stranger.post("/apps", json!({ "name": "dawn" })).await.status, 201);
    let push = "/dawn.git/git-receive-pack";
    let set = async |size: i64, most: i64| {
        sqlx::query("update apps set repo_size = $1").bind(size).execute(&t.db).await.unwrap();
        allow(&t, json!({ "repository_bytes": most })).await;
    };
    set(5000, 4000).await;
    // git shows the text of a rejection only if it is sent in its own protocol.
    for (method, path, status) in [("GET", "/dawn.git/info/refs?service=git-receive-pack", 422), ("POST", push, 200)] {
        let refused = t.stranger.ask(method, path).body("0000").await;
        assert_eq!(refused.status, status, "{method}: {refused:?}");
        assert!(refused.text().contains("quota \"repository_bytes\""), "{method}: {refused:?}");
    }
    // So little space is left that the first reservation of a push takes all of it, once the push has sent its
    // commands. The end of each push updates the measured size, so it is set before every check.
    let small = async || set(5000, 5000 + (60 << 10)).await;
    small().await;
    let (feed, body) = tokio::sync::mpsc::channel::<Result<String, std::convert::Infallible>>(1);
    let body = axum::body::Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let first = tokio::spawn(t.stranger.ask("POST", push).body(body).into_future());
    let command = format!("{} {} refs/heads/x\0report-status", "0".repeat(40), "a".repeat(40));
    feed.send(Ok(format!("{:04x}{command}0000", command.len() + 4))).await.unwrap();
    let is_refused = |answer: &Answer| answer.text().contains("Other pushes in progress");
    until("the room is taken", async || {
        small().await;
        let answer = t.stranger.ask("POST", push).body("0000").await;
        match is_refused(&answer) {
            true => Ok(()),
            false => Err(format!("{answer:?}")),
        }
    })
    .await;
    drop(feed);
    first.await.unwrap();
    until("the room is free again", async || {
        small().await;
        let answer = t.stranger.ask("POST", push).body("0000").await;
        if is_refused(&answer) { Err(format!("{answer:?}")) } else { Ok(()) }
    })
    .await;
}

/// A route that reads a body before the sender is authenticated.
const TOKENS: &str = "/oauth/tokens";

/// A large body that counts as `{}`.
fn large() -> Vec<u8> {
    vec![b' '; 3 << 20]
}

#[tokio::test]
async fn bodies_of_anonymous_clients_have_a_budget_and_leave_room_to_sign_in() {
    let t = World::start().await;
    let half = || {
        let begin = futures::stream::once(async move { Ok::<_, std::io::Error>(large()) });
        axum::body::Body::from_stream(futures::StreamExt::chain(begin, futures::stream::pending()))
    };
    let ask = |_| tokio::spawn(t.anonymous.ask("POST", TOKENS).body(half()).into_future());
    let asked: Vec<_> = (0..40).map(ask).collect();
    until("some are refused", async || {
        let refused = asked.iter().filter(|asked| asked.is_finished()).count();
        if refused >= 40 - 21 { Ok(()) } else { Err(format!("{refused} are refused")) }
    })
    .await;
    // Others can still sign in, and signed-in users are not affected.
    assert_ne!(t.anonymous.post(TOKENS, json!({ "grant": { "code": "x" } })).await.status, 429);
    let made = t.stranger.ask("POST", "/apps").body(large()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut held = 0;
    for asked in asked {
        if asked.is_finished() {
            let (status, _, message) = asked.await.unwrap().error();
            assert!(status == 429 && message.contains("from clients that are not signed in"), "{status} {message}");
        } else {
            asked.abort();
            let _ = asked.await;
            held += 1;
        }
    }
    assert!(held > 0);
    until("the room is free again", async || match t.anonymous.ask("POST", TOKENS).body(large()).await {
        answer if answer.status == 429 => Err(format!("{answer:?}")),
        _ => Ok(()),
    })
    .await;
}
