//! Attempts to fill the server's memory: large responses, and clients that do not read.

use api::{
    live::{ToBrowser, ToServer, Topic},
    log_sessions::LogSessionCreate,
};
use dyno::fake::Reaction;
use futures::{StreamExt as _, future::join_all};
use serde_json::{Value, json};

use crate::{
    builds::{build, ended, source},
    live::{bearer, open, serve},
    world::{World, path},
};

/// The overhead of a message with 64 KB of text: its last line, and the encoding as JSON.
const MOST_BATCH: usize = 200 << 10;

#[tokio::test]
async fn lines_of_an_output_come_as_the_reader_has_room_for_them() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Exit(1));
    let url = source(&t).await;
    let build = build(&t, "dusk", &url).await;
    let build = ended(&t, "dusk", &build).await;
    let app = t.owner.app_info("dusk").await.unwrap().id;
    let file = t.data().join("builds").join(app.to_string()).join(format!("{}.log", build.id));
    std::fs::write(&file, "\n".repeat(5000) + &"x".repeat(1 << 20) + "\n").unwrap();

    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    socket.subscribe(1, Topic::Build { app: "dusk".into(), build: build.id, after: None }).await;
    let (mut all, mut asked) = (0, false);
    loop {
        match socket.hear().await.expect("the socket stays open") {
            ToBrowser::Lines { id: 1, lines, .. } => {
                assert!(lines.len() <= 500 && serde_json::to_string(&lines).unwrap().len() < MOST_BATCH);
                all += lines.len();
                assert!(asked || all <= 2000, "{all} without more credit");
                if all == 2000 {
                    socket.subscribe(2, Topic::Apps).await;
                }
            }
            ToBrowser::Value { id: 2, .. } if !asked => {
                assert_eq!(all, 2000);
                socket.try_say(ToServer::Credit { id: 1, more: 10_000 }).await.unwrap();
                asked = true;
            }
            ToBrowser::End { id: 1 } => break,
            _ => {}
        }
    }
    // The long line is split into sixteen.
    assert_eq!(all, 5000 + 16);

    // Nor is a result ever completely in memory, however many lines it has.
    let answer = t.owner.ask("GET", "/apps/dusk/builds/1/result").open().await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let chunks: Vec<_> = answer.into_body().into_data_stream().map(|chunk| chunk.unwrap()).collect().await;
    assert!(chunks.iter().all(|chunk| chunk.len() < 400 << 10));
    let result: Value = serde_json::from_slice(&chunks.concat()).unwrap();
    assert_eq!((result["lines"].as_array().unwrap().len(), &result["exit_code"]), (5016, &json!(1)));
    assert_eq!(result["build"]["id"], build.id.to_string());
}

#[tokio::test]
async fn long_lines_of_a_log_come_in_small_batches() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    for n in 0..60 {
        t.driver.say(run, b'o', &format!("{n} {}", "x".repeat(9000))).unwrap();
    }
    t.driver.say(run, b'o', "the end").unwrap();
    t.log_with("dusk", "the end").await;

    for tail in [false, true] {
        let create = LogSessionCreate { lines: Some(100), tail: Some(tail), ..LogSessionCreate::default() };
        let session = t.owner.log_session_create("dusk", &create).await.unwrap();
        let answer = t.anonymous.ask("GET", &path(&session.logplex_url)).open().await;
        let mut chunks = answer.into_body().into_data_stream();
        let mut text = Vec::new();
        while !text.ends_with(b": the end\n") {
            let chunk = chunks.next().await.expect("more comes").unwrap();
            assert!(chunk.len() < MOST_BATCH, "{}", chunk.len());
            text.extend_from_slice(&chunk);
        }
        assert_eq!(String::from_utf8(text).unwrap().matches(&"x".repeat(9000)).count(), 60);
    }

    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    let logs = |after| Topic::Logs { app: "dusk".into(), filter: Default::default(), after, lines: Some(100) };
    for (id, topic) in [(1, logs(None)), (2, logs(Some(0)))] {
        socket.subscribe(id, topic).await;
        let (mut long, mut over, mut last) = (0, false, 0);
        while !over {
            let Some(ToBrowser::Lines { id: of, lines, cursor }) = socket.hear().await else { continue };
            assert!(serde_json::to_string(&lines).unwrap().len() < MOST_BATCH);
            if of == id {
                assert!(cursor >= last);
                last = cursor;
                long += lines.iter().filter(|line| line["text"].as_str().unwrap().len() > 9000).count();
                over = lines.iter().any(|line| line["text"] == "the end");
            }
        }
        assert_eq!(long, 60);
    }
}

#[tokio::test]
async fn an_event_is_small_however_large_the_change() {
    let t = World::start().await;
    t.app("dusk").await;
    let vars: serde_json::Map<_, _> = (0..900).map(|n| (format!("A{n}_{}", "x".repeat(60)), json!("1"))).collect();
    assert_eq!(t.owner.patch("/apps/dusk/config-vars", Value::Object(vars)).await.status, 200);
    let newest = t.owner.get("/apps/dusk/events?max=1").await;
    assert!(newest.text().len() < 20 << 10, "{}", newest.text().len());
    assert_eq!(newest.json()[0]["data"]["truncated"], true);
    assert_eq!(t.owner.event_verify().await.unwrap().broken_at, None);
}

#[tokio::test]
async fn a_page_of_large_events_is_cut_and_the_next_is_named() {
    let t = World::start().await;
    t.app("dusk").await;
    let app = t.owner.app_info("dusk").await.unwrap().id;
    // Like events that were recorded before their size was limited.
    let insert = "insert into events (seq, at, actor, action, subject, app_id, summary, data, previous, hash)
         select seq + n, now(), 'ada', 'app.update', 'dusk', $1, 'Did.', json_build_object('x', repeat('x', 400000)),
             '', '' from (select max(seq) as seq from events) newest, generate_series(1, 5) n";
    sqlx::query(insert).bind(app).execute(&t.db).await.unwrap();
    for list in ["/events", "/apps/dusk/events"] {
        let first = t.owner.get(&format!("{list}?max=4")).await;
        let seqs =
            |page: &Value| page.as_array().unwrap().iter().map(|e| e["seq"].as_i64().unwrap()).collect::<Vec<_>>();
        assert_eq!((first.status, seqs(&first.json())), (206, vec![6, 5, 4]), "{list}");
        assert_eq!(first.header("next-range"), "seq ]4..; max=1, order=desc");
        let next = t.owner.ask("GET", &format!("{list}?max=4")).header("range", "seq ]4..; max=1, order=desc").await;
        assert_eq!((next.status, seqs(&next.json())), (200, vec![3]), "{list}");
        let before = t.owner.get(&format!("{list}?max=2&before=4")).await;
        assert_eq!((before.status, seqs(&before.json())), (200, vec![3, 2]), "{list}");
        assert_eq!(t.owner.ask("GET", list).header("range", "id ]x..").await.status, 416);
    }
    // Clients follow the redirect.
    let all = t.owner.event_list("dusk", 5).await.unwrap();
    assert_eq!(all.iter().map(|e| e.seq).collect::<Vec<_>>(), [6, 5, 4, 3, 2]);
    let export = t.owner.get("/events/export").await;
    assert_eq!(export.text().lines().count(), 6);
}

#[tokio::test]
async fn what_ends_at_once_is_ended_and_noted_once() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Run);
    let url = source(&t).await;
    let build = build(&t, "dusk", &url).await.id;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    t.owner.post("/teams/acme/service-accounts", json!({ "name": "bot" })).await;
    let drain = t.owner.post("/apps/dusk/log-drains", json!({ "url": "https://logs.example.com" })).await.json();
    let token = t.owner.post("/oauth/authorizations", json!({})).await.json();
    let client = json!({ "name": "Bot", "redirect_uri": "https://bot.example.com" });
    let client = t.owner.post("/oauth/clients", client).await.json();
    t.owner.post("/apps/dusk/collaborators", json!({ "user": "stranger@example.com" })).await;
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    for (who, path, action) in [
        (&t.owner, format!("/apps/dusk/builds/{build}"), "build.cancel"),
        (&t.owner, format!("/apps/dusk/log-drains/{}", id(&drain)), "log_drain.delete"),
        (&t.owner, format!("/oauth/authorizations/{}", id(&token)), "authorization.delete"),
        (&t.owner, format!("/oauth/clients/{}", id(&client)), "oauth_client.delete"),
        (&t.owner, "/apps/dusk/collaborators/stranger@example.com".to_owned(), "collaborator.delete"),
        (&t.owner, "/teams/acme/service-accounts/bot".to_owned(), "service_account.delete"),
        (&t.owner, "/teams/acme".to_owned(), "team.delete"),
        (&t.stranger, "/apps/dawn".to_owned(), "app.delete"),
    ] {
        let answers = join_all((0..6).map(|_| who.ask("DELETE", &path).into_future())).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert!(
            statuses[0] == 200 && statuses[1..].iter().all(|status| [404, 422].contains(status)),
            "{path}: {statuses:?}"
        );
        let events = t.owner.get(&format!("/events?action={action}")).await.json();
        assert_eq!(events.as_array().unwrap().len(), 1, "{action}");
    }
}

#[tokio::test]
async fn dates_at_the_ends_of_time_and_paths_that_are_no_text_are_answered() {
    let t = World::start().await;
    t.app("dusk").await;
    let (first, last) = ("-262143-01-01T00:00:00Z", "%2B262142-12-31T23:59:59Z");
    for path in ["metrics", "log-density", "log-lines"] {
        for (from, to) in [("from", "to"), ("since", "until")] {
            for query in [
                format!("{to}={first}"),
                format!("{from}={last}"),
                format!("{to}={last}"),
                format!("{from}={first}"),
                format!("{from}={first}&{to}={last}"),
                format!("{from}=%2B262142-12-31T00:00:00Z&{to}={last}"),
                format!("{from}={first}&{to}=-262143-01-01T10:00:00Z"),
            ] {
                let answer = t.owner.get(&format!("/apps/dusk/{path}?{query}")).await;
                assert!([200, 422].contains(&answer.status), "{path}?{query}: {answer:?}");
            }
        }
    }
    for date in ["-262143-01-01", "%2B262142-12-31", first, last] {
        let answer = t.owner.get(&format!("/events?since={date}&until={date}")).await;
        assert!([200, 422].contains(&answer.status), "{date}: {answer:?}");
    }
    for path in ["/apps/%ff", "/apps/dusk/builds/%c3"] {
        assert_eq!(t.owner.get(path).await.error().1, "bad_request", "{path}");
    }
    assert_eq!(t.owner.get("/apps/dusk/log-lines?text=a%00b").await.error().0, 422);
}

#[tokio::test]
async fn an_output_has_nothing_beyond_its_end() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Exit(1));
    let url = source(&t).await;
    let build = build(&t, "dusk", &url).await;
    let build = ended(&t, "dusk", &build).await;
    let output = path(&build.output_stream_url);
    let host = serve(&t).await;
    for (id, from) in [(1, 1 << 40), (2, 1 << 44), (3, i64::MAX.unsigned_abs()), (4, u64::MAX)] {
        let part = t.anonymous.ask("GET", &output).header("range", &format!("bytes={from}-")).await;
        assert_eq!((part.status, part.text()), (206, String::new()), "{from}");
        let events = t.anonymous.ask("GET", &output).header("accept", "text/event-stream");
        let events = events.header("last-event-id", &from.to_string()).await;
        assert_eq!((events.status, events.text()), (200, String::new()), "{from}");
        let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
        socket.subscribe(id, Topic::Build { app: "dusk".into(), build: build.id, after: Some(from) }).await;
        loop {
            match socket.hear().await.expect("the socket stays open") {
                ToBrowser::End { .. } => break,
                ToBrowser::Failed { error, .. } => panic!("{from}: {error:?}"),
                _ => {}
            }
        }
    }
}
