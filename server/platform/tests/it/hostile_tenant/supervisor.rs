//! Attempts to keep the supervisor of dynos busy.

use std::{fs, os::unix::fs::symlink};

use api::dynos::DynoState;
use chrono::Utc;
use dyno::{Driver as _, fake::Reaction};
use serde_json::json;

use crate::world::{World, path, slug_archive, until};

/// An app of the stranger's with a worker.
async fn hog(t: &World) {
    let who = &t.stranger;
    who.post("/apps", json!({ "name": "hog" })).await;
    let slug = who.post("/apps/hog/slugs", json!({ "process_types": { "worker": "./work" } })).await.json();
    let put = path(slug["blob"]["url"].as_str().unwrap());
    assert_eq!(t.anonymous.ask("PUT", &put).body(slug_archive()).await.status, 200);
    let released = who.post("/apps/hog/releases", json!({ "slug": slug["id"] })).await;
    assert_eq!(released.status, 201, "{released:?}");
}

async fn scale(who: &crate::world::Actor, app: &str, quantity: usize) {
    let scaled = who.patch(&format!("/apps/{app}/formation/worker"), json!({ "quantity": quantity })).await;
    assert_eq!(scaled.status, 200, "{scaled:?}");
}

async fn state(t: &World, who: &crate::world::Actor, app: &str, wanted: DynoState) {
    until(&format!("the worker of {app} is {wanted:?}"), async || {
        let dynos = who.dyno_list(app).await.unwrap();
        match dynos.first() {
            Some(dyno) if dyno.state == wanted => Ok(()),
            _ => Err(format!("{dynos:?} {:?}", t.driver.signals())),
        }
    })
    .await;
}

#[tokio::test]
async fn one_owners_many_dynos_are_not_started_before_anothers_first() {
    let t = World::start().await;
    // The older app, whose dynos would come first in any other order.
    hog(&t).await;
    t.app("dusk").await;
    t.deploy("dusk", &[("worker", "./work")]).await;
    for (who, app) in [(&t.stranger, "hog"), (&t.owner, "dusk")] {
        scale(who, app, 1).await;
        state(&t, who, app, DynoState::Up).await;
        scale(who, app, 0).await;
    }
    until("none runs", async || match t.driver.list().await.unwrap().len() {
        0 => Ok(()),
        left => Err(left.to_string()),
    })
    .await;
    t.platform.stop(false).await;
    let many = "update formation f set quantity = case a.name when 'hog' then 100 else 1 end
                from apps a where a.id = f.app_id and f.type = 'worker'";
    sqlx::query(many).execute(&t.db).await.unwrap();
    let before = t.driver.started().len();
    let t = t.again().await;
    t.dynos("dusk", &["worker.1 up v2"]).await;
    let uid: i32 = sqlx::query_scalar("select uid from apps where name = 'dusk'").fetch_one(&t.db).await.unwrap();
    let place = t.driver.started()[before..].iter().position(|spec| spec.uid == uid as u32).unwrap();
    assert!(place < 8, "{place} were started before");
    until("all run in the end", async || match t.driver.list().await.unwrap().len() {
        101 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
}

#[tokio::test]
async fn reading_the_output_of_a_dead_dyno_blocks_nobody() {
    let t = World::start().await;
    hog(&t).await;
    scale(&t.stranger, "hog", 1).await;
    state(&t, &t.stranger, "hog", DynoState::Up).await;
    let run = t.driver.running("worker.1").unwrap().handle.id;
    let reading = platform::testing::hold_reading(&t.platform).await;
    for n in 0..1500 {
        t.driver.say(run, b'o', &format!("line {n}.")).unwrap();
    }
    t.driver.exit(run, 1);
    state(&t, &t.stranger, "hog", DynoState::Crashed).await;

    t.app("dusk").await;
    t.deploy("dusk", &[("worker", "./work")]).await;
    scale(&t.owner, "dusk", 1).await;
    t.dynos("dusk", &["worker.1 up v2"]).await;
    t.owner.delete("/apps/dusk/dynos").await;
    until("it is replaced", async || match t.driver.started().len() {
        3 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
    let crashed = t.driver.status(run).await.unwrap();
    assert!(crashed.is_some(), "its output is not read, so it is not removed");
    assert_eq!(t.stranger.dyno_list("hog").await.unwrap()[0].state, DynoState::Crashed, "nor started again");

    drop(reading);
    state(&t, &t.stranger, "hog", DynoState::Up).await;
    assert!(t.driver.status(run).await.unwrap().is_none());
    let log = said(&t).await;
    assert!(log.iter().any(|line| line == "State changed from up to crashed"), "{log:?}");
    let lines: Vec<_> = log.into_iter().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(lines, (0..1500).map(|n| format!("line {n}.")).collect::<Vec<_>>());
}

async fn said(t: &World) -> Vec<String> {
    let lines = t.stranger.get("/apps/hog/log-lines?lines=10000").await.json();
    lines.as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn whoever_stops_dynos_faster_than_they_are_read_waits_for_it() {
    let t = World::start().await;
    hog(&t).await;
    scale(&t.stranger, "hog", 1).await;
    let reading = platform::testing::hold_reading(&t.platform).await;
    until("those that were stopped hold up the next", async || {
        let dynos = t.stranger.dyno_list("hog").await.unwrap();
        if dynos.first().is_some_and(|dyno| dyno.state == DynoState::Up) {
            t.stranger.post("/apps/hog/dynos/worker.1/actions/stop", json!({})).await;
        }
        match t.driver.list().await.unwrap().len() {
            unread if unread >= 2 && dynos.is_empty() => Ok(()),
            unread => Err(format!("{unread} {dynos:?}")),
        }
    })
    .await;
    let there = t.driver.list().await.unwrap().len();
    assert!(there <= 3, "{there}: two that are not read, and one that was started while the second was stopped");
    drop(reading);
    state(&t, &t.stranger, "hog", DynoState::Up).await;
    until("they are gone", async || match t.driver.list().await.unwrap().len() {
        1 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
}

#[tokio::test]
async fn a_crash_that_was_not_dealt_with_when_the_server_ended_is_dealt_with_by_the_next() {
    let t = World::start().await;
    hog(&t).await;
    scale(&t.stranger, "hog", 1).await;
    state(&t, &t.stranger, "hog", DynoState::Up).await;
    let run = t.driver.running("worker.1").unwrap().handle.id;
    let reading = platform::testing::hold_reading(&t.platform).await;
    t.driver.say(run, b'o', "the last words").unwrap();
    t.driver.exit(run, 7);
    state(&t, &t.stranger, "hog", DynoState::Crashed).await;
    t.platform.stop(false).await;
    drop(reading);
    t.driver.react(|_| Reaction::Run);

    let t = t.again().await;
    state(&t, &t.stranger, "hog", DynoState::Up).await;
    assert!(t.driver.status(run).await.unwrap().is_none(), "what it left is removed");
    let log = said(&t).await;
    for text in ["the last words", "Process exited with status 7", "State changed from up to crashed"] {
        assert_eq!(log.iter().filter(|line| *line == text).count(), 1, "{text} of {log:?}");
    }
}

#[tokio::test]
async fn an_error_while_the_last_lines_of_a_dyno_are_read_loses_none_of_them() {
    let t = World::start().await;
    t.expects("could not read a dyno's output");
    hog(&t).await;
    scale(&t.stranger, "hog", 1).await;
    state(&t, &t.stranger, "hog", DynoState::Up).await;
    let run = t.driver.running("worker.1").unwrap().handle.id;
    let reading = platform::testing::hold_reading(&t.platform).await;
    t.driver.say(run, b'o', "first").unwrap();
    // At first, the next segment is not a regular file.
    let spool = t.driver.spool(run);
    let segments = fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let newest: u64 = segments.filter_map(|name| name.strip_suffix(".spool")?.parse().ok()).max().unwrap();
    let next = spool.join(format!("{:020}.spool", newest + 1));
    symlink(t.data().join("master.key"), &next).unwrap();
    t.driver.exit(run, 7);
    state(&t, &t.stranger, "hog", DynoState::Crashed).await;
    drop(reading);
    // Enough time for a few attempts.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let whole = spool.join("whole");
    fs::write(&whole, format!("{} o the last words\n", Utc::now().timestamp_micros())).unwrap();
    fs::rename(&whole, &next).unwrap();
    state(&t, &t.stranger, "hog", DynoState::Up).await;
    let log = said(&t).await;
    for text in ["first", "the last words", "Process exited with status 7"] {
        assert_eq!(log.iter().filter(|line| *line == text).count(), 1, "{text} of {log:?}");
    }
}
