//! Releases: of slugs, rollbacks, and with a release phase.

use std::collections::BTreeMap;

use api::{
    dynos::DynoCreate,
    ids::RunId,
    releases::{ReleaseCreate, ReleaseStatus},
};
use dyno::fake::Reaction;
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, archive, path, until};

fn back_to(release: &str) -> ReleaseCreate {
    ReleaseCreate { release: Some(release.into()), ..ReleaseCreate::default() }
}

/// What a process was told about itself.
fn told(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_metadata = |name: &str| name.starts_with("HEROKU_") || name.starts_with("WHARF_");
    env.iter().filter(|(name, _)| is_metadata(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What a process of dusk is to be told about itself, and nothing else, under Heroku's names and ours.
async fn metadata(t: &World, version: &str, dyno: Uuid, commit: Option<&str>) -> BTreeMap<String, String> {
    let app = t.owner.app_info("dusk").await.unwrap();
    let release = t.owner.release_info("dusk", version).await.unwrap();
    let all = [
        ("APP_ID", Some(app.id.to_string())),
        ("APP_NAME", Some("dusk".to_owned())),
        ("APP_DEFAULT_DOMAIN_NAME", Some("dusk.localhost".to_owned())),
        ("DYNO_ID", Some(dyno.to_string())),
        ("RELEASE_VERSION", Some(version.to_owned())),
        ("RELEASE_CREATED_AT", Some(release.created_at.format("%Y-%m-%dT%H:%M:%SZ").to_string())),
        ("SLUG_COMMIT", commit.map(String::from)),
        ("SLUG_DESCRIPTION", commit.map(|commit| format!("Deploy {}", &commit[..8]))),
    ];
    let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known
        .flat_map(|(name, value)| ["HEROKU", "WHARF"].map(|prefix| (format!("{prefix}_{name}"), value.clone())))
        .collect()
}

#[tokio::test]
async fn each_process_is_told_what_it_is() {
    let t = World::start().await;
    t.app("dusk").await;
    // Not even a config var takes the place of what the platform says.
    t.owner.patch("/apps/dusk/config-vars", json!({ "WHARF_APP_NAME": "mine", "WHARF_OTHER": "own" })).await;
    t.deploy("dusk", &[("web", "./server"), ("release", "./migrate")]).await;
    let phase =
        until("the release phase runs", async || t.driver.running("release.1003").ok_or_else(String::new)).await;
    let spec = |run: RunId| t.driver.started().into_iter().find(|spec| spec.id == run).unwrap();
    let with_own = |mut all: BTreeMap<String, String>| {
        all.insert("WHARF_OTHER".into(), "own".into());
        all
    };
    let release = t.owner.release_info("dusk", "v3").await.unwrap();
    let expected = with_own(metadata(&t, "v3", release.id.get(), None).await);
    assert_eq!(told(&spec(phase.handle.id).env), expected, "the release phase");
    t.driver.exit(phase.handle.id, 0);

    t.dynos("dusk", &["web.1 up v3"]).await;
    let web = t.driver.running("web.1").unwrap().handle.id;
    let dyno = t.owner.dyno_info("dusk", "web.1").await.unwrap();
    let expected = with_own(metadata(&t, "v3", dyno.id.get(), None).await);
    assert_eq!(told(&spec(web).env), expected, "a dyno of the formation");

    let command = DynoCreate { command: Some("./task".into()), ..DynoCreate::default() };
    let one_off = t.owner.dyno_create("dusk", &command).await.unwrap();
    let run = until("it runs", async || t.driver.running(&one_off.name).ok_or_else(String::new)).await.handle.id;
    let expected = with_own(metadata(&t, "v3", one_off.id.get(), None).await);
    assert_eq!(told(&spec(run).env), expected, "a one-off dyno");
}

#[tokio::test]
async fn an_uploaded_slug_is_released_and_runs() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    let body = json!({ "process_types": { "web": "./server $PORT" }, "commit": "0123456789abcdef" });
    let slug = t.owner.post("/apps/dusk/slugs", body).await;
    assert_eq!(slug.status, 201);
    let slug = slug.json();
    let id = slug["id"].as_str().unwrap();
    let early = t.owner.post("/apps/dusk/releases", json!({ "slug": id })).await;
    assert_eq!(early.error().2, "The slug has no content yet. Upload it to its blob URL first.");

    let put = path(slug["blob"]["url"].as_str().unwrap());
    assert_eq!(t.anonymous.ask("PUT", &put).body("no archive").await.error().0, 422);
    let content = archive("./app/server", "#!/bin/sh\n");
    assert_eq!(t.anonymous.ask("PUT", &put).body(content.clone()).await.status, 200);
    assert_eq!(t.anonymous.ask("PUT", &put).body(content.clone()).await.error().0, 409);
    let found = t.owner.slug_info("dusk", id).await.unwrap();
    assert_eq!(found.size, Some(content.len() as i64));
    assert!(found.checksum.unwrap().starts_with("SHA256:"));
    assert_eq!(t.anonymous.get(&path(&found.blob.url)).await.body, content);
    assert_eq!(t.anonymous.get(&put).await.error().0, 404);

    let release = t.owner.post("/apps/dusk/releases", json!({ "slug": id })).await;
    assert_eq!(release.status, 201);
    let release = release.json();
    assert_eq!(
        (&release["version"], &release["description"], &release["current"]),
        (&json!(3), &json!("Deploy 01234567"), &json!(true))
    );
    t.dynos("dusk", &["web.1 up v3"]).await;
    let spec = t.driver.started().pop().unwrap();
    assert_eq!((spec.name.as_str(), spec.command.as_str(), spec.env["A"].as_str()), ("web.1", "./server $PORT", "1"));
    assert!(dyno::uids::APPS.contains(&spec.uid) && spec.port.is_some());
    // What it is told about itself.
    let dyno = t.owner.dyno_info("dusk", "web.1").await.unwrap();
    assert_eq!(told(&spec.env), metadata(&t, "v3", dyno.id.get(), Some("0123456789abcdef")).await);
    let dyno::Artifact::Slug(root) = &spec.root.artifact else { panic!("{:?}", spec.root) };
    assert_eq!(std::fs::read_to_string(root.join("server")).unwrap(), "#!/bin/sh\n");
    let log = t.log_with("dusk", "heroku[web.1]: State changed from starting to up").await;
    for line in [
        "app[api]: Deploy 01234567 by user",
        "app[api]: Release v3 created by user",
        "heroku[web.1]: Starting process with command `./server 5000`",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
}

#[tokio::test]
async fn process_types_that_cannot_be_are_refused() {
    let t = World::start().await;
    t.app("dusk").await;
    for types in [
        json!({}),
        json!({ "a b": "x" }),
        json!({ "../x": "x" }),
        json!({ "web": " " }),
        json!({ "web": "a\nb" }),
        json!("web"),
    ] {
        let answer = t.owner.post("/apps/dusk/slugs", json!({ "process_types": types })).await;
        assert_eq!(answer.error().0, 422, "{types}");
    }
    let everything = json!({ "slug": "a", "release": "b" });
    for body in [json!({}), everything] {
        assert_eq!(t.owner.post("/apps/dusk/releases", body).await.error().0, 422);
    }
    assert_eq!(t.owner.post("/apps/dusk/releases", json!({ "slug": "nope" })).await.error().0, 404);
    assert_eq!(t.owner.post("/apps/dusk/releases", json!({ "release": "v9" })).await.error().0, 404);
}

#[tokio::test]
async fn a_rollback_restores_code_and_config() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1", "GONE": "x" })).await;
    t.deploy("dusk", &[("web", "./one")]).await;
    t.dynos("dusk", &["web.1 up v3"]).await;
    t.deploy("dusk", &[("web", "./two"), ("worker", "./work")]).await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "2", "GONE": null, "NEW": "y" })).await;
    t.dynos("dusk", &["web.1 up v5"]).await;

    let effects = t.owner.release_rollback_effects("dusk", "v3").await.unwrap();
    assert_eq!(effects.config_set, ["A", "GONE"]);
    assert_eq!(effects.config_unset, ["NEW"]);
    assert_eq!(effects.effects[0], "The code goes back to that of the release, without a build.");
    assert_eq!(t.owner.release_list("dusk", 10).await.unwrap().len(), 5);

    let back = t.owner.release_create("dusk", &back_to("v3")).await.unwrap();
    assert_eq!((back.version, back.description.as_str()), (6, "Rollback to v3"));
    t.dynos("dusk", &["web.1 up v6"]).await;
    let vars = t.owner.config_vars_info("dusk").await.unwrap();
    assert_eq!(serde_json::to_value(vars).unwrap(), json!({ "A": "1", "GONE": "x" }));
    let spec = t.driver.started().pop().unwrap();
    assert_eq!((spec.command.as_str(), spec.env["A"].as_str()), ("./one", "1"));
    assert_eq!(t.owner.formation_list("dusk").await.unwrap().len(), 1);
    let events = t.owner.event_list("dusk", 200).await.unwrap();
    assert!(events.iter().any(|e| e.action == "release.rollback"));
}

#[tokio::test]
async fn going_back_to_the_first_release_stops_everything() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    t.owner.patch("/apps/dusk/formation/web", json!({ "quantity": 2, "size": "Basic" })).await;
    let effects = t.owner.release_rollback_effects("dusk", "1").await.unwrap().effects;
    assert!(effects.contains(&"The release does not have code: all dynos stop.".to_owned()), "{effects:?}");
    t.owner.release_create("dusk", &back_to("v1")).await.unwrap();
    t.dynos("dusk", &[]).await;
    until("the process is gone", async || match t.driver.running("web.1") {
        Some(status) => Err(format!("{status:?}")),
        None => Ok(()),
    })
    .await;
    assert!(t.owner.formation_list("dusk").await.unwrap().is_empty());
    // Rolling back to a release with code restores the formation.
    t.owner.release_create("dusk", &back_to("v2")).await.unwrap();
    t.dynos("dusk", &["web.1 up v4", "web.2 up v4"]).await;
    assert_eq!(t.owner.formation_list("dusk").await.unwrap()[0].size, "Basic");
}

#[tokio::test]
async fn releases_are_found_by_version_and_id() {
    let t = World::start().await;
    t.app("dusk").await;
    t.app("dawn").await;
    let first = t.owner.release_info("dusk", "v1").await.unwrap();
    assert_eq!(t.owner.release_info("dusk", "1").await.unwrap(), first);
    assert_eq!(t.owner.release_info("dusk", &first.id.to_string()).await.unwrap(), first);
    for missing in ["v2", "nope", &t.owner.release_info("dawn", "v1").await.unwrap().id.to_string()] {
        let answer = t.owner.get(&format!("/apps/dusk/releases/{missing}")).await;
        assert_eq!(
            answer.json(),
            json!({ "id": "not_found", "resource": "release", "message": "Couldn't find that release." })
        );
    }
}

#[tokio::test]
async fn a_slug_of_another_app_is_released_only_with_access_to_it() {
    let t = World::start().await;
    t.app("dusk").await;
    let slug = t.slug("dusk", &[("web", "./server")]).await;
    t.stranger.post("/apps", json!({ "name": "theirs" })).await;
    assert_eq!(t.stranger.post("/apps/theirs/releases", json!({ "slug": slug })).await.error().0, 404);
    t.app("dawn").await;
    assert_eq!(t.owner.post("/apps/dawn/releases", json!({ "slug": slug })).await.status, 201);
    t.dynos("dawn", &["web.1 up v2"]).await;
}

#[tokio::test]
async fn a_promoted_slug_outlives_its_original_app() {
    let t = World::start().await;
    let stage = t.app("stage").await;
    t.app("prod").await;
    let slug = t.slug("stage", &[("web", "./server")]).await;
    let promote = async || {
        let made = t.owner.post("/apps/prod/releases", json!({ "slug": slug })).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["slug"]["id"].as_str().unwrap().to_owned()
    };
    let own = promote().await;
    assert_ne!(own, slug);
    assert_eq!(promote().await, own, "one copy is enough");
    t.dynos("prod", &["web.1 up v3"]).await;

    assert_eq!(t.owner.delete("/apps/stage").await.status, 200);
    until("stage is gone", async || {
        let left: i64 = sqlx::query_scalar("select count(*) from apps where id = $1")
            .bind(stage.id.0)
            .fetch_one(&t.db)
            .await
            .unwrap();
        if left == 0 { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let url = t.owner.get(&format!("/apps/prod/slugs/{own}")).await.json()["blob"]["url"].as_str().unwrap().to_owned();
    assert_eq!(t.anonymous.get(&path(&url)).await.status, 200);
}

#[tokio::test]
async fn a_release_phase_that_succeeds_lets_the_release_take_over() {
    let t = World::start().await;
    t.app("dusk").await;
    let release = t.deploy("dusk", &[("web", "./server"), ("release", "./migrate")]).await;
    assert_eq!((release.status, release.current), (ReleaseStatus::Pending, false));
    let phase =
        until("the release phase runs", async || t.driver.running("release.1002").ok_or_else(String::new)).await;
    t.driver.say(phase.handle.id, b'o', "migrated 3 tables").unwrap();
    let shown = until("there is output", async || {
        let shown = t.owner.release_info("dusk", "v2").await.unwrap();
        if shown.output_stream_url.is_some() { Ok(shown) } else { Err(format!("{shown:?}")) }
    })
    .await;
    let output = path(&shown.output_stream_url.unwrap());
    let stream = tokio::spawn(t.anonymous.ask("GET", &output).into_future());
    t.driver.exit(phase.handle.id, 0);
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert_eq!(stream.await.unwrap().text(), "migrated 3 tables\n");
    assert_eq!(t.owner.release_info("dusk", "v2").await.unwrap().status, ReleaseStatus::Succeeded);
    assert_eq!(t.owner.formation_list("dusk").await.unwrap().len(), 2);
    let actions = |events: Vec<api::platform::Event>| events.into_iter().map(|e| e.action).collect::<Vec<_>>();
    assert!(actions(t.owner.event_list("dusk", 9).await.unwrap()).contains(&"release.phase".to_owned()));
    let news = t.owner.event_list_news("dusk", 9).await.unwrap();
    assert!(news.iter().all(|event| event.action != "release.phase"));
    let log = t.log_with("dusk", "app[api]: Release v2 succeeded").await;
    assert!(log.contains("app[release.1002]: migrated 3 tables"), "{log}");
}

#[tokio::test]
async fn a_release_phase_that_fails_leaves_the_release_before_alone() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./one")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    t.driver.react(|spec| match spec.name.starts_with("release.") {
        true => Reaction::Exit(3),
        false => Reaction::Run,
    });
    t.deploy("dusk", &[("web", "./two"), ("release", "./migrate")]).await;
    until("the release has failed", async || {
        let status = t.owner.release_info("dusk", "v3").await.unwrap().status;
        if status == ReleaseStatus::Failed { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert!(t.owner.release_info("dusk", "v2").await.unwrap().current);
    t.log_with("dusk", "Release v3 failed: the release command exited with an error").await;
    let back = t.owner.post("/apps/dusk/releases", json!({ "release": "v3" })).await;
    assert_eq!(back.error().2, "Release v3 failed, so it cannot be rolled back to.");
}

#[tokio::test]
async fn changes_between_releases_are_shown_without_values() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "KEPT": "1", "OLD": "secret-1" })).await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "KEPT": "1", "OLD": null, "NEW": "secret-2" })).await;
    let slug = t.owner.post("/apps/dusk/slugs", json!({ "process_types": { "web": "./server" } })).await.json();
    t.anonymous
        .ask("PUT", &path(slug["blob"]["url"].as_str().unwrap()))
        .body(archive("./app/server", "#!/bin/sh\n"))
        .await;
    t.owner.post("/apps/dusk/releases", json!({ "slug": slug["id"] })).await;

    let answer = t.owner.get("/apps/dusk/releases/v3/changes").await;
    let changes = answer.json();
    assert_eq!((&changes["from"], &changes["to"], &changes["same_slug"]), (&json!(2), &json!(3), &json!(true)));
    assert_eq!((&changes["config_added"], &changes["config_removed"]), (&json!(["NEW"]), &json!(["OLD"])));
    assert_eq!((&changes["config_changed"], &changes["config_same"]), (&json!([]), &json!(1)));
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));

    let since = api::releases::ReleaseChangesQuery { since: Some("v1".into()) };
    let whole = t.owner.release_changes("dusk", "v4", &since).await.unwrap();
    assert_eq!((whole.from, whole.to, whole.same_slug), (1, 4, false));
    assert_eq!(whole.config_added, ["KEPT", "NEW"]);
    assert_eq!((whole.processes[0].name.as_str(), whole.processes[0].to.as_deref()), ("web", Some("./server")));
    assert!(whole.slug_size_to.is_some() && whole.commits.is_empty());

    let first = t.owner.get("/apps/dusk/releases/1/changes").await.json();
    assert_eq!(first["from"], json!(0));
    assert_eq!(t.owner.get("/apps/dusk/releases/v9/changes").await.error().0, 404);
    assert_eq!(t.owner.get("/apps/dusk/releases/v3/changes?since=v9").await.error().0, 404);
    assert_eq!(t.stranger.get("/apps/dusk/releases/v3/changes").await.error().0, 404);
}
