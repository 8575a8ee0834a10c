//! Dynos and files of builds that outlive their rows.

use std::collections::BTreeMap;

use api::ids::{BuildId, RunId};
use dyno::{Driver as _, fake::Reaction};
use serde_json::json;

use crate::{
    builds::source,
    world::{World, until},
};

/// A dyno, as a killed server may have left it.
async fn dyno(t: &World, id: RunId) {
    let spec = dyno::Spec {
        id,
        name: "build.1234".into(),
        uid: *dyno::uids::APPS.start(),
        command: "mine".into(),
        env: BTreeMap::new(),
        root: dyno::Mounts { artifact: dyno::Artifact::Empty, binds: Vec::new() },
        limits: dyno::Limits::default(),
        port: None,
        raw: true,
        time: None,
        terminal: None,
    };
    t.driver.start(&spec).await.unwrap();
}

/// The files of a build, except those that need a mount.
fn files(t: &World, id: RunId) {
    let tmp = t.data().join("tmp");
    let name = id.get().simple();
    for folder in [format!("build-{name}"), format!("cache-{name}"), format!("source-{id}")] {
        std::fs::create_dir_all(tmp.join(folder).join("x")).unwrap();
    }
    for file in [format!("build-{name}.open"), format!("slug-{name}.tar.zst"), format!("source-{id}.tar")] {
        std::fs::write(tmp.join(file), "x").unwrap();
    }
}

async fn nothing_but(t: &World, wanted: &[RunId]) {
    until("only what is wanted is there", async || {
        let dynos: Vec<_> = t.driver.list().await.unwrap().into_iter().map(|dyno| dyno.handle.id).collect();
        let odd = dynos.iter().any(|id| !wanted.contains(id)) || dynos.len() != wanted.len();
        let left = t.leftovers();
        if odd || (wanted.is_empty() && !left.is_empty()) { Err(format!("{dynos:?} {left:?}")) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn undesired_dynos_are_ended_and_desired_ones_are_not() {
    let t = World::start().await;
    t.driver.react(|spec| if spec.command == "mine" { Reaction::Stubborn } else { Reaction::Run });
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let web = t.driver.running("web.1").unwrap().handle.id;
    // A running build, which the sweep must not touch.
    let url = source(&t).await;
    let build = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await.json();
    let build: BuildId = build["id"].as_str().unwrap().parse().unwrap();
    until("it builds", async || t.driver.status(build.into()).await.unwrap().map(drop).ok_or_else(String::new)).await;
    let stray = RunId::now_v7();
    dyno(&t, stray).await;
    files(&t, stray);
    nothing_but(&t, &[web, build.into()]).await;
    until("its files are gone", async || {
        let name = stray.get().simple().to_string();
        let left = t.leftovers();
        match left.iter().any(|file| file.contains(&name) || file.contains(&stray.to_string())) {
            true => Err(format!("{left:?}")),
            false => Ok(()),
        }
    })
    .await;
    let runs = t.owner.build_info("dusk", &build.to_string()).await.unwrap();
    assert_eq!(runs.status, api::builds::BuildStatus::Pending);
}

#[tokio::test]
async fn a_build_that_was_cancelled_after_the_server_was_killed_is_ended() {
    let t = World::start().await;
    t.platform.leave_jobs();
    t.app("dusk").await;
    let url = source(&t).await;
    let build = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await.json();
    let build: BuildId = build["id"].as_str().unwrap().parse().unwrap();
    // Work that the server had begun when it was killed.
    dyno(&t, build.into()).await;
    files(&t, build.into());
    sqlx::query("update builds set cancelled_at = now() where id = $1").bind(build).execute(&t.db).await.unwrap();
    let t = t.again().await;
    until("it is cancelled", async || {
        let now = t.owner.build_info("dusk", &build.to_string()).await.unwrap();
        if now.error.as_deref() == Some("Build cancelled") { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    nothing_but(&t, &[]).await;
}

#[tokio::test]
async fn stopping_everything_stops_builds_and_release_phases_too() {
    let t = World::start().await;
    t.app("dusk").await;
    t.app("dawn").await;
    t.deploy("dawn", &[("web", "./server")]).await;
    t.dynos("dawn", &["web.1 up v2"]).await;
    let url = source(&t).await;
    t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await;
    let phase = t.deploy("dusk", &[("web", "./server"), ("release", "./migrate")]).await;
    until("both run", async || {
        let names: Vec<_> = t.driver.started().into_iter().map(|spec| spec.name).collect();
        let runs = |kind: &str| names.iter().any(|name| name.starts_with(kind));
        if runs("build.") && runs("release.") { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;
    t.platform.stop(true).await;
    let left = t.driver.list().await.unwrap();
    assert!(left.iter().all(|dyno| matches!(dyno.phase, dyno::Phase::Exited(_))), "{left:?}");
    assert_eq!(t.leftovers(), Vec::<String>::new());

    // A build starts over, a release phase does not: its command ran, and was stopped.
    let t = t.again().await;
    until("the release has failed", async || {
        let now = t.owner.release_info("dusk", &phase.id.to_string()).await.unwrap();
        if now.status == api::releases::ReleaseStatus::Failed { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    until("the build runs again", async || {
        let builds = t.driver.started().iter().filter(|spec| spec.name.starts_with("build.")).count();
        if builds == 2 { Ok(()) } else { Err(builds.to_string()) }
    })
    .await;
    assert_eq!(t.driver.started().iter().filter(|spec| spec.id == phase.id.into()).count(), 1);
}
