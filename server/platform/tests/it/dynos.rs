//! Dynos: starts, crashes, restarts, replacement without downtime.

use api::{dynos::DynoState, ids::AppId};
use base::Kind;
use dyno::fake::Reaction;
use serde_json::json;

use crate::world::{World, until};

#[tokio::test]
async fn a_crashed_dyno_has_a_reason_and_is_restarted() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Exit(7));
    t.deploy("dusk", &[("web", "./server")]).await;
    let crashed = until("web.1 has crashed", async || {
        let dynos = t.owner.dyno_list("dusk").await.unwrap();
        match dynos.first() {
            Some(dyno) if dyno.state == DynoState::Crashed => Ok(dyno.clone()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    assert_eq!(crashed.last_exit.as_deref(), Some("Process exited with status 7"));
    assert!(crashed.next_start_at.is_some());
    until("its last lines are there", async || {
        let status = t.owner.app_status("dusk").await.unwrap();
        let said: Vec<_> = status.dynos.iter().flat_map(|d| &d.last_lines).map(|line| line.text.clone()).collect();
        let end = said.iter().any(|line| line == "Process exited with status 7");
        if end && said.len() <= 6 { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
    // It may be restarting.
    until("that is what is said of the app", async || {
        let status = t.owner.app_status("dusk").await.unwrap();
        let found = format!("{:?}: {}", status.condition, status.detail);
        if found == "Crashed: web.1: Process exited with status 7" { Ok(()) } else { Err(found) }
    })
    .await;
    let log = t.log_with("dusk", "State changed from crashed to starting").await;
    assert!(log.contains("heroku[web.1]: Process exited with status 7"), "{log}");
    assert!(log.contains("heroku[web.1]: State changed from starting to crashed"), "{log}");

    t.driver.react(|_| Reaction::Run);
    t.dynos("dusk", &["web.1 up v2"]).await;
    let up = &t.owner.dyno_list("dusk").await.unwrap()[0];
    assert!(up.starts >= 2 && up.next_start_at.is_none(), "{up:?}");
}

/// The runs of the supervisor so far.
pub async fn runs(t: &World) -> u64 {
    let info = t.owner.platform_info().await.unwrap();
    info.reconcilers.iter().find(|reconciler| reconciler.name == "dynos").map_or(0, |dynos| dynos.runs)
}

#[tokio::test]
async fn the_supervisor_rests_while_dynos_crash_or_do_not_listen_yet() {
    let t = World::start().await;
    t.driver.react(|spec| if spec.command == "./deaf" { Reaction::Deaf } else { Reaction::Exit(7) });
    for (app, command) in [("dawn", "./deaf"), ("dusk", "./server")] {
        t.app(app).await;
        t.deploy(app, &[("web", command)]).await;
    }
    let starts = || t.driver.started().iter().filter(|spec| spec.command == "./server").count();
    until("web.1 has crashed a third time", async || {
        let dynos = t.owner.dyno_list("dusk").await.unwrap();
        let is_crashed = dynos.iter().any(|dyno| dyno.state == DynoState::Crashed && dyno.starts == 3);
        if is_crashed { Ok(()) } else { Err(format!("{dynos:?}")) }
    })
    .await;
    // Its next start is four seconds later; the supervisor runs every two.
    let before = runs(&t).await;
    until("it is started again", async || if starts() == 4 { Ok(()) } else { Err(starts().to_string()) }).await;
    let after = runs(&t).await;
    assert!(after - before <= 12, "{before} to {after}");
    t.dynos("dawn", &["web.1 starting v2"]).await;
}

#[tokio::test]
async fn usage_of_a_dyno_is_measured() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    t.driver.set_stats(run, dyno::Stats { memory_rss: 40 << 20, cpu_ns: 1_000_000_000, ..dyno::Stats::default() });
    let usage = until("it was measured", async || {
        let dynos = t.owner.dyno_list("dusk").await.unwrap();
        dynos[0].usage.filter(|u| u.memory > 0).ok_or_else(|| format!("{dynos:?}"))
    })
    .await;
    assert_eq!((usage.memory, usage.memory_quota), (40 << 20, 512 << 20));
    let again = t.owner.app_status("dusk").await.unwrap().dynos[0].usage.unwrap();
    assert_eq!((again.memory, again.memory_quota), (usage.memory, usage.memory_quota));

    t.driver.set_stats(run, dyno::Stats { memory_rss: 600 << 20, ..dyno::Stats::default() });
    let log = t.log_with("dusk", "heroku[web.1]: Error R14 (Memory quota exceeded)").await;
    assert!(log.contains("heroku[web.1]: Process running mem=600MB(117.2%)"), "{log}");
    until("it is counted", async || {
        let metrics = t.owner.get("/apps/dusk/metrics").await.json();
        let points = metrics["points"].as_array().unwrap();
        if points.iter().any(|p| p["errors"]["R14"] == 1) { Ok(()) } else { Err(metrics.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_dyno_that_cannot_be_started_is_a_crashed_one() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Fail("There is no room.".into()));
    t.deploy("dusk", &[("worker", "./work")]).await;
    t.owner.patch("/apps/dusk/formation/worker", json!({ "quantity": 1 })).await;
    t.dynos("dusk", &["worker.1 crashed v2"]).await;
    assert_eq!(t.owner.dyno_list("dusk").await.unwrap()[0].last_exit.as_deref(), Some("There is no room."));
}

#[tokio::test]
async fn restarts_are_accepted_whatever_the_dyno_does() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server"), ("worker", "./work")]).await;
    t.owner.patch("/apps/dusk/formation/worker", json!({ "quantity": 2 })).await;
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2", "worker.2 up v2"]).await;
    let ids = async || {
        let dynos = t.owner.dyno_list("dusk").await.unwrap();
        dynos.into_iter().map(|d| (d.name, d.id)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let is_up = &["web.1 up v2", "worker.1 up v2", "worker.2 up v2"];
    let changed = async |names: &[&str], before: &std::collections::BTreeMap<String, api::ids::DynoId>| {
        until(&format!("{names:?} are fresh"), async || {
            let now = ids().await;
            let fresh: Vec<_> =
                now.iter().filter(|(name, id)| before.get(*name) != Some(id)).map(|(n, _)| n.clone()).collect();
            if fresh == names { Ok(()) } else { Err(format!("{fresh:?}")) }
        })
        .await;
        t.dynos("dusk", is_up).await;
    };
    for (method, path, names) in [
        ("DELETE", "/apps/dusk/dynos/worker.2", &["worker.2"][..]),
        ("DELETE", "/apps/dusk/formations/worker", &["worker.1", "worker.2"]),
        ("DELETE", "/apps/dusk/dynos", &["web.1", "worker.1", "worker.2"]),
        ("POST", "/apps/dusk/dynos/web.1/actions/stop", &["web.1"]),
        ("POST", "/apps/dusk/formations/worker/actions/stop", &["worker.1", "worker.2"]),
    ] {
        let before = ids().await;
        let answer = t.owner.ask(method, path).await;
        assert_eq!((answer.status, answer.json()), (202, json!({})), "{path}");
        // It may be down at the moment, which does not matter.
        assert_eq!(t.owner.ask(method, path).await.status, 202, "{path} again");
        changed(names, &before).await;
    }
    for path in ["/apps/dusk/dynos/web.9", "/apps/dusk/dynos/clock.1", "/apps/dusk/formations/clock"] {
        assert_eq!(t.owner.delete(path).await.error().0, 404, "{path}");
    }
    t.log_with("dusk", "Restarted all dynos by user").await;
    assert!(t.driver.signals().iter().all(|(_, signal)| *signal == 15), "{:?}", t.driver.signals());
}

#[tokio::test]
async fn the_old_dynos_serve_until_the_new_ones_are_up() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./one")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let old = t.driver.running("web.1").unwrap().handle;
    let control = router::Control::new(&t.platform.config().run);

    // The new one runs but does not listen.
    t.driver.react(|_| Reaction::Deaf);
    t.deploy("dusk", &[("web", "./two")]).await;
    let new = until("the new web.1 runs", async || {
        t.driver.running("web.1").filter(|s| s.handle.id != old.id).ok_or_else(String::new)
    })
    .await;
    let version = control.version().await.unwrap();
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert!(t.driver.signals().is_empty());
    assert_eq!(routes(&t), [old.addr.unwrap()]);

    // Now it crashes; that is said for as long as there is no other release.
    t.driver.exit(new.handle.id, 1);
    let status = async || t.owner.app_status("dusk").await.unwrap();
    let held = until("the release is held", async || {
        let status = status().await;
        status.held.clone().ok_or_else(|| format!("{status:?}"))
    })
    .await;
    assert_eq!((held.version, held.serving, held.dyno.as_str()), (3, 2, "web.1"));
    assert_eq!(held.last_exit.as_deref(), Some("Process exited with status 1"));
    let shown = status().await;
    assert_eq!(shown.condition, api::statuses::Condition::Held);
    assert_eq!(shown.detail, "v3 did not stay up (web.1: Process exited with status 1); v2 keeps serving");
    assert_eq!(t.owner.app_summary_list().await.unwrap()[0].condition, api::statuses::Condition::Held);
    // It is not started again: the release has failed, and the old one is the current one.
    let failed = t.owner.release_info("dusk", "v3").await.unwrap();
    assert_eq!((failed.status, failed.current), (api::releases::ReleaseStatus::Failed, false));
    assert!(t.owner.release_info("dusk", "v2").await.unwrap().current);
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert_eq!(t.driver.running("web.1").unwrap().handle.id, old.id);
    assert_eq!(routes(&t), [old.addr.unwrap()]);
    assert!(t.driver.signals().is_empty());
    assert!(status().await.held.is_some());
    // The next release listens, and takes over.
    t.driver.react(|_| Reaction::Run);
    t.deploy("dusk", &[("web", "./three")]).await;
    t.dynos("dusk", &["web.1 up v4"]).await;
    let new = t.driver.running("web.1").unwrap().handle;
    until("the old process has been stopped", async || {
        let signals = t.driver.signals();
        if signals == [(old.id, 15)] { Ok(()) } else { Err(format!("{signals:?}")) }
    })
    .await;
    assert_eq!(status().await.held, None);
    assert_eq!(routes(&t), [new.addr.unwrap()]);
    assert!(control.version().await.unwrap() > version);
}

/// The address to which the router sends requests for the only app.
pub fn routes(t: &World) -> Vec<std::net::SocketAddr> {
    let text = std::fs::read_to_string(router::table_dir(&t.data()).join("routes.json")).unwrap();
    let table: router::Routes = serde_json::from_str(&text).unwrap();
    table.apps[0].dynos.iter().map(|d| d.addr).collect()
}

#[tokio::test]
async fn output_of_a_dyno_is_in_the_log_to_the_last_line() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    t.driver.say(run, b'o', "hello").unwrap();
    t.log_with("dusk", "app[web.1]: hello").await;
    t.driver.say(run, b'e', "the last words").unwrap();
    t.driver.exit(run, 1);
    let log = t.log_with("dusk", "State changed from up to crashed").await;
    assert!(log.contains("app[web.1]: the last words"), "{log}");
    assert_eq!(log.matches("app[web.1]: hello").count(), 1, "{log}");
}

#[tokio::test]
async fn dynos_keep_running_while_the_platform_is_down() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let before = t.driver.running("web.1").unwrap();
    t.platform.stop(false).await;
    t.driver.say(before.handle.id, b'o', "nobody listens").unwrap();

    let t = t.again().await;
    t.log_with("dusk", "app[web.1]: nobody listens").await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert_eq!(t.driver.running("web.1").unwrap(), before);
    assert_eq!(t.driver.started().len(), 1);

    t.platform.stop(true).await;
    assert_eq!(t.driver.running("web.1"), None);
}

/// Sets a timestamp in the dynos' rows into the past until a condition holds, as if time had passed.
pub async fn long_ago(t: &World, column: &str, is_so: impl Fn() -> bool) {
    until(&format!("{column} is long ago and that is noticed"), async || {
        let query = format!("update dynos set {column} = {column} - interval '2 minutes' returning app_id");
        let apps: Vec<AppId> = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&t.db).await.unwrap();
        apps.into_iter().for_each(|app| t.platform.publish(Kind::Dyno, app));
        if is_so() { Ok(()) } else { Err(format!("{:?}", t.driver.signals())) }
    })
    .await;
}

#[tokio::test]
async fn what_does_not_stop_is_killed() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Stubborn);
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    t.driver.react(|_| Reaction::Run);
    t.owner.dyno_stop("dusk", "web.1").await.unwrap();
    until("it was told to stop", async || {
        let signals = t.driver.signals();
        if signals == [(run, 15)] { Ok(()) } else { Err(format!("{signals:?}")) }
    })
    .await;
    // Meanwhile, another one has replaced it.
    t.dynos("dusk", &["web.1 up v2"]).await;
    long_ago(&t, "stopping_at", || t.driver.signals() == [(run, 15), (run, 9)]).await;
    let log = t.log_with("dusk", "Process exited with status 137").await;
    assert!(
        log.contains("heroku[web.1]: Error R12 (Exit timeout) -> Process failed to exit within 30 seconds of SIGTERM"),
        "{log}"
    );
    assert!(log.contains("heroku[web.1]: State changed from up to down"), "{log}");
}

#[tokio::test]
async fn a_web_dyno_that_does_not_listen_in_time_is_killed() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Deaf);
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 starting v2"]).await;
    let run = until("web.1 runs", async || t.driver.running("web.1").ok_or_else(String::new)).await.handle.id;
    long_ago(&t, "started_at", || t.driver.signals() == [(run, 9)]).await;
    t.dynos("dusk", &["web.1 crashed v2"]).await;
    let dyno = &t.owner.dyno_list("dusk").await.unwrap()[0];
    assert_eq!(dyno.last_exit.as_deref(), Some("Boot timeout: did not bind to $PORT within 60 seconds"));
    t.log_with("dusk", "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch")
        .await;
}

#[tokio::test]
async fn a_dyno_that_could_not_be_killed_is_killed_later() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Deaf);
    t.driver.fail_signals(9, 1);
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 starting v2"]).await;
    let run = until("web.1 runs", async || t.driver.running("web.1").ok_or_else(String::new)).await.handle.id;
    long_ago(&t, "started_at", || t.driver.signals() == [(run, 9)]).await;
    let log = t.log_with("dusk", "State changed from starting to crashed").await;
    assert_eq!((log.matches("Error R10").count(), t.driver.failures_left()), (1, 0), "{log}");
}

#[tokio::test]
async fn a_process_that_could_not_be_waited_for_is_watched_again() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.fail_waits(1);
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert_eq!(t.driver.failures_left(), 0);
    t.driver.react(|_| Reaction::Deaf);
    t.driver.exit(t.driver.running("web.1").unwrap().handle.id, 3);
    t.log_with("dusk", "Process exited with status 3").await;
}

#[tokio::test]
async fn the_router_is_told_what_changes() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    let table = async |expected: &str| {
        until(&format!("the router has {expected}"), async || {
            let text = std::fs::read_to_string(router::table_dir(&t.data()).join("routes.json")).unwrap_or_default();
            let Ok(table) = serde_json::from_str::<router::Routes>(&text) else { return Err(text) };
            let found = table
                .apps
                .iter()
                .map(|a| format!("{} {:?} {}", a.name, a.state, a.dynos.len()))
                .collect::<Vec<_>>()
                .join(", ");
            if found == expected { Ok(table) } else { Err(found) }
        })
        .await
    };
    let first = table("dusk Blank 0").await;
    assert_eq!(first.platform_hosts, ["localhost", "api.localhost", "console.localhost"]);
    t.deploy("dusk", &[("web", "./server")]).await;
    assert_eq!(table("dusk Up 1").await.apps[0].app_id, app.id);
    t.owner.patch("/apps/dusk", json!({ "name": "dawn", "maintenance": true })).await;
    table("dawn Maintenance 1").await;
    t.owner.patch("/apps/dawn", json!({ "maintenance": false })).await;
    t.owner.patch("/apps/dawn/formation/web", json!({ "quantity": 0 })).await;
    table("dawn NoWeb 0").await;
    t.driver.react(|_| Reaction::Exit(1));
    t.owner.patch("/apps/dawn/formation/web", json!({ "quantity": 1 })).await;
    table("dawn Crashed 0").await;
    t.owner.app_delete("dawn").await.unwrap();
    table("").await;
}
