//! Log sessions, log lines: all ways of reading an app's log.

use api::ids::RunId;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::world::{LONG, World, path};

async fn session(t: &World, params: Value) -> String {
    let made = t.owner.post("/apps/dusk/log-sessions", params).await;
    assert_eq!(made.status, 201, "{made:?}");
    path(made.json()["logplex_url"].as_str().unwrap())
}

/// An app whose web.1 has printed `one`, `two`, `three`.
async fn talkative(t: &World) -> RunId {
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    for text in ["one", "two", "three"] {
        t.driver.say(run, b'o', text).unwrap();
    }
    t.log_with("dusk", "three").await;
    run
}

#[tokio::test]
async fn a_session_opens_without_credentials() {
    let t = World::start().await;
    talkative(&t).await;
    let all = session(&t, json!({})).await;
    let text = t.anonymous.get(&all).await;
    assert!(text.header("content-type").starts_with("text/plain"));
    assert!(text.text().contains("app[api]: Initial release by user"), "{text:?}");
    let line = text.text().lines().last().unwrap().to_owned();
    let (at, rest) = line.split_once(' ').unwrap();
    assert!(at.ends_with("+00:00") && at.len() == 32, "{at}");
    assert_eq!(rest, "app[web.1]: three");
    // It can be opened again, by a client that lost its connection.
    assert_eq!(t.anonymous.get(&all).await.status, 200);

    for (params, expected) in [
        (json!({ "lines": 2 }), 2),
        (json!({ "dyno": "web.1", "source": "app" }), 3),
        (json!({ "dyno_name": "web", "source": "app", "lines": 1 }), 1),
        (json!({ "type": "worker" }), 0),
        (json!({ "source": "app", "dyno": "web", "tail": 0 }), 3),
        (json!({ "dyno": "web.1", "text": "TWO" }), 1),
        (json!({ "dyno": "web.1", "regex": "^t.*e$" }), 1),
    ] {
        let address = session(&t, params.clone()).await;
        assert_eq!(t.anonymous.get(&address).await.text().lines().count(), expected, "{params}");
    }
    assert_eq!(t.owner.post("/apps/dusk/log-sessions", json!({ "source": "nasa" })).await.error().0, 422);
    assert_eq!(t.owner.post("/apps/dusk/log-sessions", json!({ "regex": "(" })).await.error().0, 422);
    assert_eq!(t.anonymous.get("/streams/logs/nope").await.json()["resource"], "log_session");
    sqlx::query("update log_sessions set expires_at = now(), opened_at = null").execute(&t.db).await.unwrap();
    assert_eq!(t.anonymous.get(&all).await.error().0, 404);
}

#[tokio::test]
async fn a_tail_continues_and_events_can_be_resumed() {
    let t = World::start().await;
    let run = talkative(&t).await;
    let address = session(&t, json!({ "tail": true, "lines": 1, "source": "app", "dyno": "web.1" })).await;
    let answer = t.anonymous.ask("GET", &address).header("accept", "text/event-stream").open().await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body().into_data_stream();
    let mut read = async |part: &str| {
        let mut text = String::new();
        while !text.contains(part) {
            let chunk = tokio::time::timeout(LONG, body.next()).await.expect("more comes").unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        text
    };
    let first = read("three\n\n").await;
    assert!(first.starts_with("id: ") && !first.contains("two"), "{first}");
    t.driver.say(run, b'o', "four").unwrap();
    read("app[web.1]: four\n\n").await;
    drop(body);

    t.driver.say(run, b'o', "five").unwrap();
    t.log_with("dusk", "five").await;
    let id = first.lines().next().unwrap().trim_start_matches("id: ").to_owned();
    let address = session(&t, json!({ "source": "app", "dyno": "web.1" })).await;
    let again =
        t.anonymous.ask("GET", &address).header("accept", "text/event-stream").header("last-event-id", &id).await;
    let said: Vec<String> =
        again.text().lines().filter_map(|l| l.rsplit_once("]: ").map(|(_, s)| s.to_owned())).collect();
    assert_eq!(said, ["four", "five"]);
}

#[tokio::test]
async fn lines_are_data_too() {
    let t = World::start().await;
    let run = talkative(&t).await;
    t.driver.say(run, b'e', "Error: disk is full").unwrap();
    t.log_with("dusk", "disk is full").await;
    let lines = async |query: &str| {
        let all = t.owner.get(&format!("/apps/dusk/log-lines?{query}")).await.json();
        all.as_array().unwrap().iter().map(|l| l["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines("source=app&dyno=web&lines=2").await, ["three", "Error: disk is full"]);
    assert_eq!(lines("text=TWO").await, ["two"]);
    assert_eq!(lines("regex=%5Et.*e%24").await, ["three"]);
    assert_eq!(lines("level=error").await, ["Error: disk is full"]);
    let all = t.owner.get("/apps/dusk/log-lines?text=two").await.json();
    let seq = all[0]["seq"].as_u64().unwrap();
    assert_eq!(lines(&format!("after={seq}&source=app&dyno=web.1")).await, ["three", "Error: disk is full"]);
    assert_eq!(lines(&format!("before={seq}&lines=1&dyno=web")).await, ["one"]);
    for odd in ["regex=%28", "level=shouting", "lines=many", "since=yesterday"] {
        assert_eq!(t.owner.get(&format!("/apps/dusk/log-lines?{odd}")).await.error().0, 422, "{odd}");
    }
    let density = t.owner.get("/apps/dusk/log-density").await.json();
    let total: u64 = density["buckets"].as_array().unwrap().iter().map(|b| b["lines"].as_u64().unwrap()).sum();
    assert!(total > 5, "{density}");
    let odd = "/apps/dusk/log-density?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z";
    assert_eq!(t.owner.get(odd).await.error().2, "since must be before until.");
}
