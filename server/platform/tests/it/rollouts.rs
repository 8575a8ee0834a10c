//! Rollouts: a release replaces the one before only if its web dynos stay up.

use api::{
    builds::{Build, BuildStatus},
    ids::{AppId, RunId},
    releases::{Release, ReleaseStatus, Rollout},
};
use base::Kind;
use dyno::fake::Reaction;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::{
    builds::{build, ended, source},
    dynos::{long_ago, routes},
    world::{LONG, World, path, until},
};

/// An app that serves with v2, and whose next releases are watched until the test lets them pass.
async fn served(t: &World) -> dyno::Handle {
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./one"), ("worker", "./work")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    t.owner.patch("/apps/dusk/formation/worker", json!({ "quantity": 1 })).await;
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
    assert_eq!(t.owner.patch("/apps/dusk", json!({ "watch_seconds": 600 })).await.json()["watch_seconds"], 600);
    t.driver.running("web.1").unwrap().handle
}

async fn release(t: &World, version: &str) -> Release {
    t.owner.release_info("dusk", version).await.unwrap()
}

async fn has(t: &World, version: &str, rollout: Rollout) -> Release {
    until(&format!("{version} is {rollout}"), async || match t.owner.release_info("dusk", version).await {
        Ok(now) if now.rollout == rollout => Ok(now),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// The process of this command, once it has been started.
async fn started(t: &World, command: &str) -> RunId {
    until(&format!("{command} runs"), async || {
        t.driver.started().into_iter().find(|spec| spec.command == command).ok_or_else(String::new)
    })
    .await
    .id
}

async fn routed(t: &World, to: &dyno::Handle) {
    until("the router sends requests there", async || match routes(t) {
        found if found == [to.addr.unwrap()] => Ok(()),
        found => Err(format!("{found:?}")),
    })
    .await;
}

/// Lets the watch period of what is up end.
async fn passes(t: &World, version: &str) {
    until(&format!("{version} has passed"), async || {
        let old =
            "update dynos set updated_at = updated_at - interval '20 minutes' where state = 'up' returning app_id";
        let apps: Vec<AppId> = sqlx::query_scalar(old).fetch_all(&t.db).await.unwrap();
        apps.into_iter().for_each(|app| t.platform.publish(Kind::Dyno, app));
        match release(t, version).await.rollout {
            Rollout::Passed => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_whose_web_dyno_exits_within_the_watch_period_changes_nothing() {
    let t = World::start().await;
    let old = served(&t).await;
    t.deploy("dusk", &[("web", "./two"), ("bell", "./ring")]).await;
    let watched = has(&t, "v3", Rollout::Watching).await;
    assert!(watched.current && watched.up_at.is_some() && watched.failure().is_none(), "{watched:?}");
    // It serves; everything else is of the release before, even what the new one does not have.
    t.dynos("dusk", &["web.1 up v3", "worker.1 up v2"]).await;
    let new = t.driver.running("web.1").unwrap().handle;
    assert_ne!(new.id, old.id);
    routed(&t, &new).await;
    assert!(t.driver.signals().is_empty());

    t.driver.exit(new.id, 1);
    let failed = has(&t, "v3", Rollout::Failed).await;
    assert_eq!((failed.status, failed.current, failed.was_good()), (ReleaseStatus::Failed, false, false));
    assert_eq!(failed.failure().as_deref(), Some("web.1: Process exited with status 1"));
    assert!(release(&t, "v2").await.current);
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
    routed(&t, &old).await;
    assert!(t.driver.signals().is_empty());
    let types: Vec<_> = t.owner.formation_list("dusk").await.unwrap().into_iter().map(|f| f.kind).collect();
    assert_eq!(types, ["web", "worker"]);
    assert!(t.driver.started().iter().all(|spec| spec.command != "./ring"));
    let events = t.owner.event_list("dusk", 9).await.unwrap();
    let noted = events.iter().find(|event| event.action == "release.fail").unwrap();
    assert_eq!(noted.summary, "v3 did not stay up: web.1: Process exited with status 1. v2 keeps serving.");
    t.log_with("dusk", "Release v3 failed: web.1: Process exited with status 1. v2 keeps serving.").await;
    let back = t.owner.post("/apps/dusk/releases", json!({ "release": "v3" })).await;
    assert_eq!(back.error().2, "Release v3 failed, so it cannot be rolled back to.");
}

#[tokio::test]
async fn everything_else_follows_when_the_web_dynos_have_stayed_up() {
    let t = World::start().await;
    let old = served(&t).await;
    t.deploy("dusk", &[("web", "./two"), ("worker", "./toil")]).await;
    has(&t, "v3", Rollout::Watching).await;
    t.dynos("dusk", &["web.1 up v3", "worker.1 up v2"]).await;
    assert!(t.driver.started().iter().all(|spec| spec.command != "./toil"));
    passes(&t, "v3").await;
    t.dynos("dusk", &["web.1 up v3", "worker.1 up v3"]).await;
    until("the old web dyno has been stopped", async || match t.driver.signals() {
        signals if signals.contains(&(old.id, 15)) => Ok(()),
        signals => Err(format!("{signals:?}")),
    })
    .await;
    let passed = release(&t, "v3").await;
    assert!(passed.is_rollback_target() && passed.current, "{passed:?}");
    until("the old release is not up any more", async || {
        let query = "select count(*) from releases where up_since is not null";
        match sqlx::query_scalar::<_, i64>(query).fetch_one(&t.db).await.unwrap() {
            1 => Ok(()),
            n => Err(n.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_that_exits_at_once_never_gets_a_request() {
    let t = World::start().await;
    let old = served(&t).await;
    t.driver.react(|_| Reaction::Exit(3));
    t.deploy("dusk", &[("web", "./two"), ("worker", "./toil")]).await;
    let failed = has(&t, "v3", Rollout::Failed).await;
    assert_eq!((failed.status, failed.up_at), (ReleaseStatus::Failed, None));
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
    routed(&t, &old).await;
    assert_eq!(t.driver.started().iter().filter(|spec| spec.command == "./two").count(), 1);
    let effects = t.owner.release_rollback_effects("dusk", "v2").await.unwrap().effects;
    assert!(effects.iter().all(|effect| !effect.contains("never up")), "{effects:?}");
}

#[tokio::test]
async fn a_release_that_does_not_listen_in_time_has_failed() {
    let t = World::start().await;
    served(&t).await;
    t.driver.react(|_| Reaction::Deaf);
    t.deploy("dusk", &[("web", "./two")]).await;
    let run = started(&t, "./two").await;
    assert_eq!(release(&t, "v3").await.rollout, Rollout::Waiting);
    long_ago(&t, "started_at", || t.driver.signals().contains(&(run, 9))).await;
    let failed = has(&t, "v3", Rollout::Failed).await;
    let why = "web.1: Boot timeout: did not bind to $PORT within 60 seconds";
    assert_eq!(failed.failure().as_deref(), Some(why));
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
}

#[tokio::test]
async fn a_failed_release_phase_changes_nothing() {
    let t = World::start().await;
    let old = served(&t).await;
    t.driver.react(|spec| if spec.name.starts_with("release.") { Reaction::Exit(3) } else { Reaction::Run });
    t.deploy("dusk", &[("web", "./two"), ("release", "./migrate")]).await;
    let failed = has(&t, "v3", Rollout::Failed).await;
    assert_eq!((failed.status, failed.failed_dyno.as_deref()), (ReleaseStatus::Failed, None));
    assert_eq!(failed.failure().as_deref(), Some("release phase: Process exited with status 3"));
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
    routed(&t, &old).await;
}

#[tokio::test]
async fn a_first_release_that_crashes_is_tried_again_and_its_workers_wait() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|spec| if spec.name == "web.1" { Reaction::Exit(7) } else { Reaction::Run });
    t.deploy("dusk", &[("web", "./one"), ("worker", "./work")]).await;
    t.owner.patch("/apps/dusk/formation/worker", json!({ "quantity": 1 })).await;
    let failed = has(&t, "v2", Rollout::Failed).await;
    // There is nothing to go back to.
    assert_eq!((failed.status, failed.current, failed.up_at), (ReleaseStatus::Succeeded, true, None));
    assert!(!failed.is_rollback_target());
    until("it is started again", async || {
        let starts = t.driver.started().iter().filter(|spec| spec.name == "web.1").count();
        if starts > 1 { Ok(()) } else { Err(starts.to_string()) }
    })
    .await;
    assert!(t.driver.started().iter().all(|spec| spec.name != "worker.1"));
    t.driver.react(|_| Reaction::Run);
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
    let passed = has(&t, "v2", Rollout::Passed).await;
    assert!(passed.was_good() && passed.failure().is_none(), "{passed:?}");
}

#[tokio::test]
async fn a_release_that_is_replaced_before_it_is_up_was_never_good() {
    let t = World::start().await;
    served(&t).await;
    t.driver.react(|_| Reaction::Deaf);
    t.deploy("dusk", &[("web", "./two")]).await;
    started(&t, "./two").await;
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
    // The same code with other config vars.
    t.driver.react(|_| Reaction::Run);
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    assert_eq!(release(&t, "v4").await.slug, release(&t, "v3").await.slug);
    has(&t, "v3", Rollout::Superseded).await;
    has(&t, "v4", Rollout::Watching).await;
    t.dynos("dusk", &["web.1 up v4", "worker.1 up v2"]).await;
    let new = t.driver.running("web.1").unwrap().handle;
    t.driver.exit(new.id, 1);
    has(&t, "v4", Rollout::Failed).await;
    assert!(release(&t, "v2").await.current);
    // What follows continues with the code that serves.
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "2" })).await;
    assert_eq!(release(&t, "v5").await.slug, release(&t, "v2").await.slug);
    let effects = t.owner.release_rollback_effects("dusk", "v3").await.unwrap().effects;
    assert!(effects.iter().any(|effect| effect.starts_with("v3 was never up")), "{effects:?}");
}

#[tokio::test]
async fn without_web_dynos_there_is_nothing_to_wait_for() {
    let t = World::start().await;
    served(&t).await;
    t.owner.patch("/apps/dusk/formation/web", json!({ "quantity": 0 })).await;
    t.deploy("dusk", &[("web", "./two"), ("worker", "./toil")]).await;
    has(&t, "v3", Rollout::Passed).await;
    t.dynos("dusk", &["worker.1 up v3"]).await;
    until("it is up with its worker", async || {
        let now = release(&t, "v3").await;
        if now.was_good() { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
}

#[tokio::test]
async fn the_platforms_own_file_server_is_not_watched() {
    let t = World::start().await;
    served(&t).await;
    t.deploy("dusk", &[("web", ".heroku/static/serve .")]).await;
    let passed = has(&t, "v3", Rollout::Passed).await;
    assert_eq!((passed.watch_seconds, passed.was_good()), (0, true));
}

#[tokio::test]
async fn a_watch_period_has_limits() {
    let t = World::start().await;
    t.app("dusk").await;
    for bad in [-1, 601] {
        assert_eq!(t.owner.patch("/apps/dusk", json!({ "watch_seconds": bad })).await.error().0, 422, "{bad}");
    }
    assert_eq!(t.stranger.patch("/apps/dusk", json!({ "watch_seconds": 1 })).await.error().0, 404);
    assert_eq!(t.owner.patch("/apps/dusk", json!({ "watch_seconds": 5 })).await.status, 200);
    let events = t.owner.event_list("dusk", 9).await.unwrap();
    assert!(events.iter().any(|event| event.summary == "Watch period set to 5 s."), "{events:?}");
}

/// Starts a build whose release is `web: ./server`, and waits as long as `wait` says.
async fn build_with(t: &World, wait: &str) -> Build {
    let body = json!({ "source_blob": { "url": source(t).await }, "wait": wait });
    serde_json::from_value(t.owner.post("/apps/dusk/builds", body).await.json()).unwrap()
}

/// What dynos do, by name and command.
fn react(t: &World, web: Reaction) {
    t.driver.react(move |spec| match spec.name.starts_with("build.") {
        true => Reaction::Exit(0),
        false if spec.command == "./server" => web.clone(),
        false => Reaction::Run,
    });
}

/// Follows the output of a build until it contains a part.
async fn prints(t: &World, build: &Build, part: &str) {
    let address = path(&build.output_stream_url);
    let mut output = t.anonymous.ask("GET", &address).open().await.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains(part) {
        let chunk = tokio::time::timeout(LONG, output.next()).await.expect("more comes");
        text.push_str(std::str::from_utf8(&chunk.expect(part).unwrap()).unwrap());
    }
}

#[tokio::test]
async fn a_build_ends_as_its_release_does() {
    let t = World::start().await;
    served(&t).await;
    react(&t, Reaction::Exit(3));
    let failed = build(&t, "dusk", &source(&t).await).await;
    let failed = ended(&t, "dusk", &failed).await;
    let why = "v3 did not stay up: web.1: Process exited with status 3";
    assert_eq!((failed.status, failed.error.as_deref()), (BuildStatus::Failed, Some(why)));
    assert_eq!(failed.release.map(|r| r.id), Some(release(&t, "v3").await.id.get()));
    let output = t.anonymous.get(&path(&failed.output_stream_url)).await.text();
    assert!(output.contains("v2 keeps serving traffic. Last log lines of v3:"), "{output}");
    assert!(output.contains("Process exited with status 3"), "{output}");
    assert!(output.ends_with(&format!("\n !     Push rejected, {why}.\n")), "{output}");
    let result = t.owner.get("/apps/dusk/builds/1/result").await.json();
    assert_eq!(result["exit_code"], 1);

    react(&t, Reaction::Run);
    let made = build(&t, "dusk", &source(&t).await).await;
    has(&t, "v4", Rollout::Watching).await;
    prints(&t, &made, "; watching it for 600 s\n").await;
    assert_eq!(t.owner.build_info("dusk", "2").await.unwrap().status, BuildStatus::Pending);
    // It waits without a slot, and is not forgotten by a server that is stopped.
    t.platform.stop(false).await;
    let t = t.again().await;
    passes(&t, "v4").await;
    let done = ended(&t, "dusk", &made).await;
    assert_eq!(done.status, BuildStatus::Succeeded);
    let output = t.anonymous.get(&path(&done.output_stream_url)).await.text();
    for part in ["; watching it for 600 s\n", "       Released v4\n", "deployed to Wharf\n"] {
        assert!(output.contains(part), "{part}: {output}");
    }
}

#[tokio::test]
async fn the_last_lines_of_a_failed_release_are_those_of_its_own_dyno() {
    let t = World::start().await;
    let old = served(&t).await;
    react(&t, Reaction::Run);
    let made = build(&t, "dusk", &source(&t).await).await;
    has(&t, "v3", Rollout::Watching).await;
    let new = t.driver.running("web.1").unwrap().handle;
    // Both are web.1.
    t.driver.say(new.id, b'o', "the new one begins").unwrap();
    t.driver.say(new.id, b'e', "the new one fails").unwrap();
    t.log_with("dusk", "app[web.1]: the new one fails").await;
    // It hangs for a while, and the other one goes on.
    for n in 0..1_100 {
        t.driver.say(old.id, b'o', &format!("the old one serves {n}.")).unwrap();
    }
    t.log_with("dusk", "app[web.1]: the old one serves 1099.").await;
    t.driver.exit(new.id, 3);
    let failed = ended(&t, "dusk", &made).await;
    let output = t.anonymous.get(&path(&failed.output_stream_url)).await.text();
    for line in ["app[web.1]: the new one begins", "app[web.1]: the new one fails"] {
        assert!(output.contains(line), "{output}");
    }
    assert!(!output.contains("the old one serves"), "{output}");
}

#[tokio::test]
async fn a_build_waits_no_longer_than_it_was_told_to() {
    let t = World::start().await;
    served(&t).await;
    react(&t, Reaction::Deaf);
    for bad in ["yes", "601"] {
        let body = json!({ "source_blob": { "url": source(&t).await }, "wait": bad });
        assert_eq!(t.owner.post("/apps/dusk/builds", body).await.error().0, 422, "{bad}");
    }
    let done = build_with(&t, "no").await;
    let done = ended(&t, "dusk", &done).await;
    assert_eq!(done.status, BuildStatus::Succeeded);
    let output = t.anonymous.get(&path(&done.output_stream_url)).await.text();
    assert!(output.contains("wharf releases:wait v3 --app dusk"), "{output}");
    assert_eq!(release(&t, "v3").await.rollout, Rollout::Waiting);

    react(&t, Reaction::Run);
    let done = build_with(&t, "up").await;
    assert_eq!(ended(&t, "dusk", &done).await.status, BuildStatus::Succeeded);
    assert_eq!(release(&t, "v4").await.rollout, Rollout::Watching);
    // A period of its own.
    let done = build_with(&t, "0").await;
    assert_eq!(ended(&t, "dusk", &done).await.status, BuildStatus::Succeeded);
    let passed = release(&t, "v5").await;
    assert_eq!((passed.rollout, passed.watch_seconds), (Rollout::Passed, 0));
}

#[tokio::test]
async fn a_build_follows_its_code_to_the_release_that_replaces_its_own() {
    let t = World::start().await;
    served(&t).await;
    react(&t, Reaction::Deaf);
    let made = build(&t, "dusk", &source(&t).await).await;
    until("its release exists", async || {
        t.owner.release_info("dusk", "v3").await.map(drop).map_err(|err| err.to_string())
    })
    .await;
    react(&t, Reaction::Run);
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    passes(&t, "v4").await;
    assert_eq!(ended(&t, "dusk", &made).await.status, BuildStatus::Succeeded);

    // Other code is another matter.
    react(&t, Reaction::Deaf);
    let made = build(&t, "dusk", &source(&t).await).await;
    until("its release exists", async || {
        t.owner.release_info("dusk", "v5").await.map(drop).map_err(|err| err.to_string())
    })
    .await;
    let back: Value = t.owner.post("/apps/dusk/releases", json!({ "release": "v2" })).await.json();
    assert_eq!(back["version"], 6);
    let done = ended(&t, "dusk", &made).await;
    let why = "v5 was replaced by another release before it was up";
    assert_eq!((done.status, done.error.as_deref()), (BuildStatus::Failed, Some(why)));
}

#[tokio::test]
async fn an_app_is_destroyed_while_a_build_waits_for_its_release() {
    let t = World::start().await;
    served(&t).await;
    let app = t.owner.app_info("dusk").await.unwrap().id;
    react(&t, Reaction::Deaf);
    build(&t, "dusk", &source(&t).await).await;
    until("its release exists", async || {
        t.owner.release_info("dusk", "v3").await.map(drop).map_err(|err| err.to_string())
    })
    .await;
    t.owner.app_delete("dusk").await.unwrap();
    until("the app is gone", async || {
        let rows = "select count(*) from apps where id = $1";
        match sqlx::query_scalar::<_, i64>(rows).bind(app).fetch_one(&t.db).await.unwrap() {
            0 => Ok(()),
            _ => Err("its row".to_owned()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_phase_that_ends_after_a_newer_release_has_taken_effect_changes_nothing() {
    let t = World::start().await;
    served(&t).await;
    t.deploy("dusk", &[("web", "./two"), ("release", "./migrate")]).await;
    let phase =
        until("the release phase runs", async || t.driver.running("release.1003").ok_or_else(String::new)).await;
    let back: Value = t.owner.post("/apps/dusk/releases", json!({ "release": "v2" })).await.json();
    assert_eq!(back["version"], 4);
    has(&t, "v4", Rollout::Watching).await;
    t.driver.exit(phase.handle.id, 0);
    has(&t, "v3", Rollout::Superseded).await;
    assert!(release(&t, "v4").await.current);
    assert!(t.driver.started().iter().all(|spec| spec.command != "./two"));
}

#[tokio::test]
async fn a_server_that_is_killed_while_it_starts_a_dyno_makes_no_release_fail() {
    let t = World::start().await;
    served(&t).await;
    t.driver.react(|_| Reaction::Deaf);
    t.deploy("dusk", &[("web", "./two")]).await;
    let run = started(&t, "./two").await;
    t.platform.stop(false).await;
    // As if it had written the row, and nothing else.
    dyno::Driver::remove(&*t.driver, run).await.unwrap();
    t.driver.react(|_| Reaction::Run);
    let t = t.again().await;
    has(&t, "v3", Rollout::Watching).await;
}
