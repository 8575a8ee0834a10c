//! The change bus: the other servers of a database are notified of a server's changes.

use std::time::Duration;

use api::{ids::AppId, live::Topic, log_sessions::LogSessionCreate};
use base::{
    Kind, Subject,
    bus::Changed,
    events::EventActor,
    recorded::{Concerned, Recorded},
};
use futures::StreamExt as _;
use platform::Platform;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use uuid::Uuid;

use crate::{
    draining::look_again,
    live::{bearer, open, serve_areas},
    teams::somebody,
    world::{LONG, World, path, until},
};

/// Open streams also check their access without a notification, but much later than this.
const SOON: Duration = Duration::from_secs(30);

/// Waits until this is notified.
async fn told(changes: &mut Receiver<Changed>, wanted: Changed) {
    let hear = async { while changes.recv().await.unwrap() != wanted {} };
    tokio::time::timeout(LONG, hear).await.unwrap_or_else(|_| panic!("{wanted:?} is published"));
}

/// Waits until `to` receives messages that `from` publishes.
async fn connected(from: &Platform, to: &Platform) {
    let mut changes = to.changes();
    let wanted = Changed::new(Kind::DynoState, Some(AppId::now_v7()));
    until("one server hears the other", async || {
        from.publish(wanted.kind, wanted.app.unwrap());
        let hear = async { while changes.recv().await.unwrap() != wanted {} };
        tokio::time::timeout(Duration::from_secs(1), hear).await.map_err(|_| "nothing".to_owned())
    })
    .await;
}

/// Waits until the server of `t` receives messages of others, and no longer rereads everything because it has just
/// begun to listen.
pub async fn listening(t: &World) {
    let mut changes = t.platform.changes();
    let wanted = Changed::new(Kind::DynoState, Some(AppId::now_v7()));
    let (nobody, changed) = (Uuid::nil(), serde_json::to_value(wanted).unwrap());
    let message = json!({ "from": nobody, "changed": [changed], "recorded": [] }).to_string();
    until("the server hears others", async || {
        store::bus::change_notify(&t.db, std::slice::from_ref(&message)).await.unwrap();
        let hear = async { while changes.recv().await.unwrap() != wanted {} };
        tokio::time::timeout(Duration::from_secs(1), hear).await.map_err(|_| "nothing".to_owned())
    })
    .await;
}

#[tokio::test]
async fn changes_of_one_server_are_shown_by_another() {
    let t = World::start().await;
    let other = t.other_server().await;
    let app = t.app("dusk").await.id;
    let host = serve_areas(&other).await;
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    socket.subscribe(1, Topic::App { app: "dusk".into() }).await;
    socket.value(1, |v| v["releases"][0]["version"] == 1).await;
    connected(&t.platform, other.platform()).await;
    let mut changes = other.platform().changes();
    let mut events = other.platform().new_events();

    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    told(&mut changes, Changed::new(Kind::Release, Some(app))).await;
    socket.value(1, |v| v["releases"][0]["version"] == 2).await;
    let owner = t.owner.account_info().await.unwrap().id;
    let to = Some([Concerned::Account(owner), Concerned::App(app)].into());
    let expected = Recorded::Event { noun: "config_vars".into(), app: Some(app), to };
    assert_eq!(events.recv().await.unwrap(), expected);

    t.owner.patch("/apps/dusk", json!({ "name": "dawn" })).await;
    told(&mut changes, Changed::new(Kind::App, Some(app))).await;
    socket.value(1, |v| v["app"]["name"] == "dawn").await;
}

#[tokio::test]
async fn a_token_that_one_server_revokes_ends_the_streams_of_another() {
    let t = World::start().await;
    let other = t.other_server().await;
    let here = somebody(&t, "ada").await;
    let ada = here.account_info().await.unwrap().id;
    let there = here.at(&other);
    // Each server has the lines that it wrote.
    there.post("/apps", json!({ "name": "dusk" })).await;
    let create = LogSessionCreate { tail: Some(true), ..LogSessionCreate::default() };
    let session = there.log_session_create("dusk", &create).await.unwrap();
    let lines = t.anonymous.at(&other).ask("GET", &path(&session.logplex_url)).open().await;
    let mut lines = lines.into_body().into_data_stream();
    let first = tokio::time::timeout(LONG, lines.next()).await.expect("a line comes").unwrap().unwrap();
    assert!(!first.is_empty());
    connected(&t.platform, other.platform()).await;
    let mut changes = other.platform().changes();

    assert_eq!(here.delete("/oauth/authorizations/~").await.status, 200);
    told(&mut changes, Changed::of_account(Kind::Session, ada)).await;
    let rest = async { while lines.next().await.is_some() {} };
    tokio::time::timeout(SOON, rest).await.expect("the stream ends");
}

/// Ends the connections on which servers listen. Returns their number.
async fn end_listening(t: &World) -> i64 {
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and query like 'LISTEN%changes%'";
    sqlx::query_scalar(end).fetch_one(&t.db).await.unwrap()
}

#[tokio::test]
async fn whoever_may_have_missed_a_change_reads_everything_again() {
    let t = World::start().await;
    let other = t.other_server().await;
    connected(&t.platform, other.platform()).await;
    connected(other.platform(), &t.platform).await;
    let mut changes = other.platform().changes();
    assert_eq!(end_listening(&t).await, 2, "each server listens");
    told(&mut changes, Changed::new(Kind::Anything, None)).await;
    connected(&t.platform, other.platform()).await;
    connected(other.platform(), &t.platform).await;
}

#[tokio::test]
async fn the_supervisor_reads_apps_that_changed_and_all_when_it_may_have_missed_one() {
    let t = World::start().await;
    let scale = async |app: &str, quantity: i32| {
        let scaled = t.owner.patch(&format!("/apps/{app}/formation/worker"), json!({ "quantity": quantity })).await;
        assert_eq!(scaled.status, 200, "{scaled:?}");
    };
    for app in ["dawn", "dusk"] {
        t.app(app).await;
        t.deploy(app, &[("worker", "./work")]).await;
        scale(app, 1).await;
        t.dynos(app, &["worker.1 up v2"]).await;
    }
    listening(&t).await;
    look_again(&t).await;
    // Nobody is told, so that reading it shows.
    let unheard = "update formation f set quantity = 2 from apps a where a.id = f.app_id and a.name = 'dusk'";
    sqlx::query(unheard).execute(&t.db).await.unwrap();
    scale("dawn", 2).await;
    t.dynos("dawn", &["worker.1 up v2", "worker.2 up v2"]).await;
    look_again(&t).await;
    t.dynos("dusk", &["worker.1 up v2"]).await;

    end_listening(&t).await;
    t.dynos("dusk", &["worker.1 up v2", "worker.2 up v2"]).await;
}

#[tokio::test]
async fn rolled_back_changes_are_not_published() {
    let t = World::start().await;
    let other = t.other_server().await;
    connected(&t.platform, other.platform()).await;
    connected(other.platform(), &t.platform).await;
    let (app, all) =
        (AppId::now_v7(), [&t.platform, other.platform()].map(|server| (server.changes(), server.new_events())));
    let begin = async || t.platform.change(EventActor::platform(), Subject::app(app, "dusk")).await.unwrap();
    let mut change = begin().await;
    change.record("app.update", "Renamed dusk to dawn.", json!({}));
    change.publish(Kind::Build, Some(app));
    drop(change);
    let mut change = begin().await;
    change.publish(Kind::Formation, Some(app));
    change.commit().await.unwrap();
    for (mut changes, mut events) in all {
        let first = async {
            loop {
                let changed = changes.recv().await.unwrap();
                if changed.app == Some(app) {
                    return changed.kind;
                }
            }
        };
        assert_eq!(tokio::time::timeout(LONG, first).await, Ok(Kind::Formation));
        assert!(events.try_recv().is_err());
    }
}
