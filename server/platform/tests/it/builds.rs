//! Builds: sources, the queue, cancelling, output. What happens inside a build is tested in `builder`.

use api::builds::{Build, BuildRedeploy, BuildStatus};
use dyno::fake::Reaction;
use serde_json::{Value, json};

use crate::world::{World, archive, path, until};

/// Uploads a source. Returns the URL to build it from.
pub async fn source(t: &World) -> String {
    let made = t.owner.post("/sources", Value::Null).await;
    assert_eq!(made.status, 201);
    let urls = made.json()["source_blob"].clone();
    let put = t
        .anonymous
        .ask("PUT", &path(urls["put_url"].as_str().unwrap()))
        .body(archive("Procfile", "web: ./server\n"))
        .await;
    assert_eq!(put.status, 200, "{put:?}");
    urls["get_url"].as_str().unwrap().to_owned()
}

pub async fn build(t: &World, app: &str, url: &str) -> Build {
    let body = json!({ "source_blob": { "url": url, "version": "0123456789abcdef" } });
    let answer = t.owner.post(&format!("/apps/{app}/builds"), body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    serde_json::from_value(answer.json()).unwrap()
}

pub async fn ended(t: &World, app: &str, build: &Build) -> Build {
    until("the build has ended", async || {
        let now = t.owner.build_info(app, &build.id.to_string()).await.unwrap();
        if now.status == BuildStatus::Pending { Err(format!("{now:?}")) } else { Ok(now) }
    })
    .await
}

#[tokio::test]
async fn a_build_becomes_a_release() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    t.driver.react(|spec| match spec.name.starts_with("build.") {
        true => Reaction::Exit(0),
        false => Reaction::Run,
    });
    let url = source(&t).await;
    let made = build(&t, "dusk", &url).await;
    assert_eq!((made.number, made.status, made.release), (1, BuildStatus::Pending, None));
    let done = ended(&t, "dusk", &made).await;
    assert_eq!((done.status, &done.error), (BuildStatus::Succeeded, &None));
    t.dynos("dusk", &["web.1 up v3"]).await;
    let release = t.owner.release_info("dusk", "v3").await.unwrap();
    assert_eq!(release.description, "Deploy 01234567");
    let events = t.owner.event_list("dusk", 9).await.unwrap();
    let noted = events.iter().find(|e| e.summary == "Deploy 01234567 (v3), from build 1.").unwrap();
    assert_eq!(noted.actor, t.owner.account_info().await.unwrap().email);
    assert_eq!((done.release.map(|r| r.id), done.slug), (Some(release.id.get()), release.slug));
    assert_eq!(
        t.owner.app_info("dusk").await.unwrap().slug_size,
        t.owner.slug_info("dusk", &done.slug.unwrap().id.to_string()).await.unwrap().size
    );

    let output = t.anonymous.get(&path(&done.output_stream_url)).await.text();
    for line in ["-----> Building on the heroku-24 stack\n", "Procfile declares types -> web\n", "       Released v3\n"]
    {
        assert!(output.contains(line), "{line}\n{output}");
    }
    let result = t.owner.get("/apps/dusk/builds/1/result").await.json();
    assert_eq!((&result["exit_code"], &result["lines"][0]["stream"]), (&json!(0), &json!("STDOUT")));
    assert_eq!(t.owner.build_list("dusk").await.unwrap().len(), 1);
    let log = t.log_with("dusk", "app[api]: Build succeeded").await;
    assert!(log.contains("app[api]: Build started by user"), "{log}");
    // Temporary files are gone.
    let left = t.leftovers();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_runs_is_built_again_if_its_source_is_there() {
    let t = World::start().await;
    t.app("dusk").await;
    let refused = async |reason: &str| {
        let refused = t.owner.post("/apps/dusk/actions/redeploy", json!({})).await.error();
        assert_eq!(refused.0, 422, "{refused:?}");
        assert!(refused.2.contains(reason), "{refused:?}");
    };
    refused("no code").await;
    t.driver.react(|spec| match spec.name.starts_with("build.") {
        true => Reaction::Exit(0),
        false => Reaction::Run,
    });
    let url = source(&t).await;
    let first = build(&t, "dusk", &url).await;
    assert_eq!(ended(&t, "dusk", &first).await.status, BuildStatus::Succeeded);
    // Config vars make a release of the same code.
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    let bad = t.owner.post("/apps/dusk/actions/redeploy", json!({ "wait": "long" })).await.error();
    assert_eq!(bad.0, 422, "{bad:?}");
    let wait = BuildRedeploy { wait: Some("up".into()) };
    let again = t.owner.build_redeploy("dusk", &wait).await.unwrap();
    let stored = store::builds::build_info(&t.db, again.id).await.unwrap().unwrap();
    assert_eq!(stored.wait.as_deref(), Some("up"));
    assert_eq!((again.number, &again.source_blob.version), (2, &first.source_blob.version));
    assert_eq!(ended(&t, "dusk", &again).await.status, BuildStatus::Succeeded);
    t.dynos("dusk", &["web.1 up v4"]).await;
    let events = t.owner.event_list("dusk", 20).await.unwrap();
    assert!(events.iter().any(|e| e.summary.starts_with("Started build 1 again with the token")), "{events:?}");
    for upload in std::fs::read_dir(t.data().join("sources")).unwrap() {
        std::fs::remove_file(upload.unwrap().path()).unwrap();
    }
    refused("wharf deploy").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    refused("was not built for this app").await;
}

#[tokio::test]
async fn a_build_that_fails_says_so_and_changes_nothing() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|_| Reaction::Exit(1));
    let url = source(&t).await;
    let failed = build(&t, "dusk", &url).await;
    let failed = ended(&t, "dusk", &failed).await;
    assert_eq!((failed.status, failed.error.as_deref()), (BuildStatus::Failed, Some("failed to compile the app")));
    assert_eq!(failed.release, None);
    let output = t.anonymous.get(&path(&failed.output_stream_url)).await.text();
    assert!(output.ends_with("\n !     Push rejected, failed to compile the app.\n"), "{output}");
    assert_eq!(t.owner.release_list("dusk", 10).await.unwrap().len(), 1);
    t.log_with("dusk", "app[api]: Build failed: failed to compile the app").await;
    let answer = t.owner.delete("/apps/dusk/builds/1").await;
    assert_eq!(answer.error().2, "The build has already finished or been cancelled.");
}

#[tokio::test]
async fn builds_wait_in_a_queue_and_can_be_cancelled() {
    let t = World::start().await;
    t.app("dusk").await;
    t.app("dawn").await;
    let url = source(&t).await;
    let first = build(&t, "dusk", &url).await;
    let dyno = until("the first build runs", async || {
        let started = t.driver.started();
        started.first().map(|spec| spec.name.clone()).ok_or_else(String::new)
    })
    .await;
    assert!(dyno.starts_with("build."), "{dyno}");
    let second = build(&t, "dawn", &url).await;
    let third = build(&t, "dusk", &url).await;
    assert_eq!((second.queue_position, third.queue_position), (1, 2));
    assert_eq!(t.owner.build_info("dusk", "1").await.unwrap().queue_position, 0);
    let summary = t.owner.app_status("dawn").await.unwrap();
    assert_eq!(summary.detail, "Build 1 is waiting in the queue");
    assert_eq!(t.driver.started().len(), 1);

    // A queued build.
    let cancelled = t.owner.build_cancel("dusk", &third.id.to_string()).await.unwrap();
    assert_eq!(cancelled.id, third.id);
    assert_eq!(ended(&t, "dusk", &third).await.error.as_deref(), Some("Build cancelled"));
    // A running build.
    t.driver.react(|_| Reaction::Exit(1));
    t.owner.build_cancel("dusk", "1").await.unwrap();
    let ended_first = ended(&t, "dusk", &first).await;
    assert_eq!((ended_first.status, ended_first.error.as_deref()), (BuildStatus::Failed, Some("Build cancelled")));
    // The next one starts.
    assert_eq!(ended(&t, "dawn", &second).await.error.as_deref(), Some("failed to compile the app"));
}

#[tokio::test]
async fn output_is_streamed_as_it_comes_and_from_any_place() {
    let t = World::start().await;
    t.app("dusk").await;
    let url = source(&t).await;
    let made = build(&t, "dusk", &url).await;
    let spec = until("the build runs", async || t.driver.started().first().cloned().ok_or_else(String::new)).await;
    let stream = path(&made.output_stream_url);
    let plain = tokio::spawn(t.anonymous.ask("GET", &stream).into_future());
    let events = tokio::spawn(t.anonymous.ask("GET", &stream).header("accept", "text/event-stream").into_future());
    t.driver.say(spec.id, b'o', "-----> Compiling").unwrap();
    t.driver.exit(spec.id, 1);
    let plain = plain.await.unwrap();
    assert!(plain.header("content-type").starts_with("text/plain"));
    assert!(plain.text().contains("-----> Compiling\n"), "{plain:?}");
    let events = events.await.unwrap();
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert!(events.text().contains("data: -----> Compiling\n\n"), "{events:?}");
    let last: usize =
        events.text().lines().filter_map(|l| l.strip_prefix("id: ")).next_back().unwrap().parse().unwrap();
    assert_eq!(last, plain.body.len());
    let rest = t.anonymous.ask("GET", &stream).header("range", "bytes=10-").await;
    assert_eq!((rest.status, rest.body.as_slice()), (206, &plain.body[10..]));
    let again = t
        .anonymous
        .ask("GET", &stream)
        .header("accept", "text/event-stream")
        .header("last-event-id", &last.to_string())
        .await;
    assert_eq!(again.text(), "");
    assert_eq!(t.anonymous.get("/streams/builds/nope").await.error().0, 404);
}

#[tokio::test]
async fn invalid_sources_are_rejected_or_fail() {
    let t = World::start().await;
    t.app("dusk").await;
    for odd in [
        json!({}),
        json!({ "source_blob": {} }),
        json!({ "source_blob": { "url": "file:///etc/passwd" } }),
        json!({ "source_blob": { "url": "http://[::1]/x.tgz" } }),
        json!({ "source_blob": { "url": "https://example.com/x.tgz" }, "buildpacks": [{ "url": "not a buildpack" }] }),
    ] {
        assert_eq!(t.owner.post("/apps/dusk/builds", odd.clone()).await.error().0, 422, "{odd}");
    }
    let empty = t.owner.post("/sources", json!({})).await.json();
    let url = empty["source_blob"]["get_url"].as_str().unwrap();
    assert_eq!(t.anonymous.get(&path(url)).await.error().0, 404);
    let made = build(&t, "dusk", url).await;
    let why = "nothing has been uploaded to the source URL";
    assert_eq!(ended(&t, "dusk", &made).await.error.as_deref(), Some(why));
    let url = source(&t).await;
    let body = json!({ "source_blob": { "url": url, "checksum": "SHA256:00" } });
    let made: Build = serde_json::from_value(t.owner.post("/apps/dusk/builds", body).await.json()).unwrap();
    assert_eq!(ended(&t, "dusk", &made).await.error.as_deref(), Some("the source's checksum does not match"));
    assert_eq!(t.owner.get("/apps/dusk/builds/99").await.json()["resource"], "build");
}

#[tokio::test]
async fn a_source_is_put_and_got() {
    let t = World::start().await;
    t.app("dusk").await;
    let url = source(&t).await;
    assert_eq!(t.anonymous.get(&path(&url)).await.body, archive("Procfile", "web: ./server\n"));
    assert_eq!(t.owner.post("/apps/dusk/sources", json!({})).await.status, 201);
    // The URL for reading does not allow writing.
    assert_eq!(t.anonymous.ask("PUT", &path(&url)).body("x").await.error().0, 404);
    let cache = t.data().join("cache").join(t.owner.app_info("dusk").await.unwrap().id.to_string());
    std::fs::create_dir_all(cache.join("x")).unwrap();
    assert_eq!(t.owner.delete("/apps/dusk/build-cache").await.status, 200);
    assert!(!cache.exists());
    assert_eq!(t.owner.delete("/apps/dusk/build-cache").await.status, 200);
}
