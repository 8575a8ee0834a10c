//! Dynos that are stopped while requests are in progress.

use std::os::unix::net::UnixListener;

use api::ids::{AppId, RunId};
use base::Kind;
use dyno::fake::Reaction;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    dynos::{long_ago, routes, runs},
    world::{World, until},
};

/// An app with a web dyno that is in the routing table. Returns its run.
async fn served(t: &World) -> RunId {
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let handle = t.driver.running("web.1").unwrap().handle;
    until("the router knows it", async || match routes(t) {
        known if known == [handle.addr.unwrap()] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    handle.id
}

/// A request to the app to which its dyno never responds.
async fn ask(t: &World) -> TcpStream {
    let mut client = TcpStream::connect(t.platform.config().listen).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: dusk.localhost\r\n\r\n").await.unwrap();
    until("the router has the request", async || {
        let counters = t.platform.router().counters().await.unwrap();
        if counters.apps.iter().any(|app| app.inflight == 1) { Ok(()) } else { Err(format!("{:?}", counters.apps)) }
    })
    .await;
    client
}

/// Scales the app to 0, and waits until the router has a table without its dyno.
async fn scale_down(t: &World) {
    t.owner.patch("/apps/dusk/formation/web", json!({ "quantity": 0 })).await;
    until("the router has a table without it", async || match routes(t) {
        known if known.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Waits until the supervisor has completed another run.
pub async fn look_again(t: &World) {
    let before = runs(t).await;
    until("the supervisor has looked again", async || {
        t.platform.publish(Kind::Formation, AppId::nil());
        let now = runs(t).await;
        if now >= before + 2 { Ok(()) } else { Err(format!("{now} runs")) }
    })
    .await;
}

async fn got_sigterm(t: &World, run: RunId) {
    until("it got SIGTERM", async || {
        let signals = t.driver.signals();
        if signals == [(run, 15)] { Ok(()) } else { Err(format!("{signals:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_dyno_gets_sigterm_when_its_last_request_has_ended_even_from_another_server() {
    let t = World::start().await;
    let run = served(&t).await;
    let client = ask(&t).await;
    scale_down(&t).await;
    look_again(&t).await;
    assert!(t.driver.signals().is_empty());
    // It is no longer shown.
    t.dynos("dusk", &[]).await;

    t.platform.stop(false).await;
    let t = t.again().await;
    look_again(&t).await;
    assert!(t.driver.signals().is_empty());
    drop(client);
    got_sigterm(&t, run).await;
    t.log_with("dusk", "Stopping all processes with SIGTERM").await;
}

#[tokio::test]
async fn without_requests_a_dyno_gets_sigterm_when_the_router_has_a_table_without_it() {
    let t = World::start().await;
    let run = served(&t).await;
    t.owner.patch("/apps/dusk/formation/web", json!({ "quantity": 0 })).await;
    got_sigterm(&t, run).await;
    assert!(routes(&t).is_empty());
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_keep_a_dyno_for_ever() {
    let t = World::start().await;
    let run = served(&t).await;
    let _client = ask(&t).await;
    scale_down(&t).await;
    look_again(&t).await;
    assert!(t.driver.signals().is_empty());
    long_ago(&t, "stopping_at", || t.driver.signals().starts_with(&[(run, 15)])).await;
}

#[tokio::test]
async fn a_router_that_does_not_respond_does_not_keep_a_dyno_for_ever() {
    let t = World::start().await;
    let run = served(&t).await;
    let socket = t.platform.config().run.join("router.sock");
    std::fs::remove_file(&socket).unwrap();
    // Connecting succeeds, but nothing reads the data.
    let _silent = UnixListener::bind(&socket).unwrap();
    t.owner.dyno_stop("dusk", "web.1").await.unwrap();
    look_again(&t).await;
    assert!(t.driver.signals().is_empty());
    // The router may still send it requests, and to no other.
    let query = "update dynos set stopping_at = stopping_at - interval '2 minutes'";
    sqlx::query(query).execute(&t.db).await.unwrap();
    look_again(&t).await;
    assert!(t.driver.signals().is_empty());
    long_ago(&t, "stopping_at", || t.driver.signals().starts_with(&[(run, 15)])).await;
}

#[tokio::test]
async fn a_router_that_cannot_save_its_table_delays_nothing_and_is_not_sent_it_again_and_again() {
    let t = World::start().await;
    let run = served(&t).await;
    std::fs::create_dir(router::table_dir(&t.data()).join("routes.json.new")).unwrap();
    t.expects("could not write");
    let client = ask(&t).await;
    t.owner.patch("/apps/dusk/formation/web", json!({ "quantity": 0 })).await;
    let in_use = until("the router has a table that it could not save", async || {
        let in_use = t.platform.router().in_use().await.unwrap();
        if in_use.unsaved && !in_use.busy.is_empty() { Ok(in_use) } else { Err(format!("{in_use:?}")) }
    })
    .await;
    look_again(&t).await;
    assert_eq!(t.platform.router().in_use().await.unwrap(), in_use);
    assert!(t.driver.signals().is_empty());
    drop(client);
    got_sigterm(&t, run).await;
}

#[tokio::test]
async fn a_signal_that_could_not_be_sent_is_sent_again_and_logged_once() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Stubborn);
    let run = served(&t).await;
    t.driver.fail_signals(15, 3);
    t.driver.fail_signals(9, 3);
    t.owner.dyno_stop("dusk", "web.1").await.unwrap();
    got_sigterm(&t, run).await;
    long_ago(&t, "stopping_at", || t.driver.signals() == [(run, 15), (run, 9)]).await;
    assert_eq!(t.driver.failures_left(), 0);
    let log = t.log_with("dusk", "Process exited with status 137").await;
    for line in ["State changed from up to down", "with SIGTERM\n", "Error R12", "with SIGKILL"] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}
