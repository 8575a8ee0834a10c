//! Attempts to forge log lines of the router and of other dynos.

use dyno::fake::Reaction;
use futures::StreamExt as _;
use serde_json::json;

use crate::world::{LONG, World, path, until};

/// Every character that some reader treats as a line break.
const BREAKS: [&str; 8] = ["\r", "\n", "\r\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}"];

#[tokio::test]
async fn no_line_of_an_app_is_taken_for_one_of_the_routers() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    let forged = "2026-12-01T00:00:00.000000+00:00 heroku[router]: at=info forged";
    for end in BREAKS {
        t.driver.say(run, b'o', &format!("a{end}{end}id: 1{end}data: {forged}{end}{forged}")).unwrap();
    }
    t.driver.say(run, b'o', &format!("\x1b[1A\x1b[2K\x1b[8m{forged}")).unwrap();
    t.driver.say(run, b'o', "the end").unwrap();
    t.log_with("dusk", "the end").await;

    let made = t.owner.post("/apps/dusk/log-sessions", json!({ "lines": 1000 })).await.json();
    let address = path(made["logplex_url"].as_str().unwrap());
    let text = t.anonymous.get(&address).await.text();
    let events = t.anonymous.ask("GET", &address).header("accept", "text/event-stream").await.text();
    assert!(text.matches("forged").count() > 8 && events.matches("forged").count() > 8);
    let breaks = |c: char| BREAKS.iter().any(|end| end.contains(c));
    for line in text.split(breaks).filter(|line| line.contains("forged")) {
        assert!(line[32..].starts_with(" app[web.1]: "), "{line}");
        assert!(!line.contains('\x1b'), "{line:?}");
    }
    for line in events.split(breaks).filter(|line| line.contains("forged")) {
        let line = line.strip_prefix("data: ").unwrap_or_else(|| panic!("{line} is no data"));
        assert!(line[32..].starts_with(" app[web.1]: "), "{line}");
    }
    let lines = t.owner.get("/apps/dusk/log-lines?dyno=router").await.json();
    assert_eq!(lines, json!([]));
    let all = t.owner.get("/apps/dusk/log-lines?lines=1000").await.json();
    assert!(all.as_array().unwrap().iter().all(|line| !line["text"].as_str().unwrap().contains(breaks)));
}

#[tokio::test]
async fn process_types_cannot_use_names_of_the_platform() {
    let t = World::start().await;
    t.app("dusk").await;
    for name in ["router", "heroku", "api", "Router"] {
        let body = json!({ "process_types": { name: "./forge" } });
        let (status, _, message) = t.owner.post("/apps/dusk/slugs", body).await.error();
        assert_eq!(status, 422, "{name}");
        assert!(message.starts_with(&format!("Invalid process type {name}")), "{message}");
    }
    let body = json!({ "process_types": { "web": "./server\rheroku[web.1]: forged" } });
    assert_eq!(t.owner.post("/apps/dusk/slugs", body).await.error().0, 422);
}

#[tokio::test]
async fn a_search_of_ones_own_is_bounded_before_it_begins() {
    let t = World::start().await;
    t.app("dusk").await;
    for regex in ["(a{100}){100}", "(((((", "%5B"] {
        let (status, _, message) = t.owner.get(&format!("/apps/dusk/log-lines?regex={regex}")).await.error();
        assert_eq!(status, 422, "{regex}");
        assert!(message.contains("regular expression"), "{message}");
    }
}

#[tokio::test]
async fn a_moment_before_all_time_is_no_fault() {
    let t = World::start().await;
    t.app("dusk").await;
    let answer = t.owner.get("/apps/dusk/log-density?until=-262143-01-01T00:00:00Z").await;
    assert_eq!(answer.status, 422, "{answer:?}");
}

#[tokio::test]
async fn one_line_reaches_every_stream_of_an_account() {
    let t = World::start().await;
    t.app("dusk").await;
    let mut streams = Vec::new();
    for _ in 0..30 {
        let session = t.owner.post("/apps/dusk/log-sessions", json!({ "tail": true })).await.json();
        let address = path(session["logplex_url"].as_str().unwrap());
        streams.push(t.anonymous.ask("GET", &address).open().await.into_body().into_data_stream());
    }
    t.owner.patch("/apps/dusk/config-vars", json!({ "COLOUR": "teal" })).await;
    for stream in &mut streams {
        let mut said = String::new();
        while !said.contains("COLOUR") {
            let next = tokio::time::timeout(LONG, stream.next()).await.unwrap();
            said.push_str(&String::from_utf8_lossy(&next.expect("the stream goes on").unwrap()));
        }
    }
}

#[tokio::test]
async fn a_status_waits_its_turn_to_read_the_output_of_crashed_dynos() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Run);
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    t.driver.say(run, b'o', "the end is near").unwrap();
    t.log_with("dusk", "the end is near").await;
    t.driver.react(|_| Reaction::Exit(1));
    t.driver.exit(run, 1);
    let said = async || {
        let status = t.owner.app_status("dusk").await.unwrap();
        status.dynos.iter().any(|dyno| !dyno.last_lines.is_empty())
    };
    until("what it said last is shown", async || if said().await { Ok(()) } else { Err(String::new()) }).await;
    let owner = t.owner.account_info().await.unwrap().id;
    let taken = platform::testing::take_glances(&t.platform, owner);
    assert_eq!(taken.len(), 2);
    assert!(!said().await, "it is shown without");
    drop(taken);
    until("what it said last is shown", async || if said().await { Ok(()) } else { Err(String::new()) }).await;
}
