//! Apps: creating, renaming, maintenance mode, destroying.

use api::apps::{AppCreate, AppUpdate};
use http::StatusCode;
use serde_json::json;

use crate::world::{World, refusal, until};

#[tokio::test]
async fn an_app_is_made_with_a_first_release() {
    let t = World::start().await;
    let app = t.app("dusk-1").await;
    assert_eq!(app.name, "dusk-1");
    assert_eq!(app.owner.email, t.owner.account_info().await.unwrap().email);
    assert_eq!(app.git_url, "http://localhost/dusk-1.git");
    assert!(app.web_url.starts_with("http://dusk-1.localhost:") && app.web_url.ends_with('/'), "{}", app.web_url);
    let releases = t.owner.release_list("dusk-1", 10).await.unwrap();
    assert_eq!(releases.len(), 1);
    assert_eq!((releases[0].version, releases[0].description.as_str()), (1, "Initial release"));
    assert!(releases[0].slug.is_none());
    assert_eq!(t.owner.app_info(&app.id.to_string()).await.unwrap(), app);
    t.log_with("dusk-1", "app[api]: Initial release by user").await;

    let named = t.owner.app_create(&AppCreate::default()).await.unwrap();
    assert!(named.name.parse::<api::ids::AppName>().is_ok(), "{}", named.name);
    let mine = t.owner.get("/users/~/apps").await.json();
    assert_eq!(mine.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn names_are_taken_once() {
    let t = World::start().await;
    t.app("dusk").await;
    let taken = |outcome| {
        let (status, message) = refusal::<api::apps::App>(outcome);
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(message.contains("Name is already taken"), "{message}");
    };
    let create = AppCreate { name: Some("dusk".into()), ..AppCreate::default() };
    taken(t.owner.app_create(&create).await);
    taken(t.stranger.app_create(&create).await);
    t.app("dawn").await;
    taken(t.owner.app_update("dawn", &AppUpdate { name: Some("dusk".into()), ..AppUpdate::default() }).await);
    for odd in ["Dusk", "x", "a_b", "www", "1abc", "a\u{0}bc", "xn--gthub-n4a"] {
        assert_eq!(t.owner.post("/apps", json!({ "name": odd })).await.error().0, 422, "{odd}");
    }
    for odd in [json!({ "stack": "windows" }), json!({ "region": "moon" }), json!({ "name": 3 })] {
        assert_eq!(t.owner.post("/apps", odd.clone()).await.error().0, 422, "{odd}");
    }
    let referred = t
        .owner
        .post("/apps", json!({ "name": "noon", "stack": { "name": "heroku-22" }, "region": { "name": "us" } }))
        .await;
    assert_eq!(referred.json()["stack"]["name"], "heroku-22");
}

#[tokio::test]
async fn an_app_is_renamed_and_put_into_maintenance() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    let renamed = t.owner.patch("/apps/dusk", json!({ "name": "dawn" })).await;
    assert_eq!(renamed.json()["name"], "dawn");
    assert_eq!(t.owner.app_info("dawn").await.unwrap().id, app.id);
    // The former name, until another app has it.
    assert_eq!(t.owner.app_info("dusk").await.unwrap().name, "dawn");
    let other = t.app("dusk").await;
    assert_eq!(t.owner.app_info("dusk").await.unwrap().id, other.id);

    for (given, on) in [(json!(1), true), (json!(0), false), (json!(true), true), (json!("false"), false)] {
        let answer = t.owner.patch("/apps/dawn", json!({ "maintenance": given })).await;
        assert_eq!(answer.json()["maintenance"], on, "{given}");
    }
    assert_eq!(t.owner.patch("/apps/dawn", json!({ "maintenance": "maybe" })).await.error().0, 422);
    let stack = t.owner.patch("/apps/dawn", json!({ "build_stack": "heroku-26" })).await.json();
    assert_eq!((&stack["build_stack"]["name"], &stack["stack"]["name"]), (&json!("heroku-26"), &json!("heroku-24")));
    let log = t.log_with("dawn", "Maintenance mode disabled by user").await;
    assert!(log.contains("Renamed dusk to dawn by user"), "{log}");
}

#[tokio::test]
async fn a_former_name_leads_to_the_app_for_those_who_may_see_it() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    for name in ["dawn", "noon", "dawn"] {
        t.owner.patch(&format!("/apps/{}", app.id), json!({ "name": name })).await;
    }
    for name in ["dusk", "noon", "dawn"] {
        assert_eq!(t.owner.app_info(name).await.unwrap().name, "dawn", "{name}");
        let refs = t.owner.get(&format!("/{name}.git/info/refs?service=git-receive-pack")).await;
        assert_eq!(refs.status, 200, "{name}: {refs:?}");
        let expected = json!({ "id": "not_found", "resource": "app", "message": "Couldn't find that app." });
        let answer = t.stranger.get(&format!("/apps/{name}")).await;
        assert_eq!((answer.status, answer.json()), (404, expected), "{name}");
    }
    let kept = t.owner.delete("/apps/noon").await.error();
    assert_eq!((kept.0, kept.2), (422, "noon was renamed to dawn. To destroy it, use dawn.".to_owned()));
    sqlx::query("update app_former_names set created_at = created_at - interval '31 days' where name = 'dusk'")
        .execute(&t.db)
        .await
        .unwrap();
    assert_eq!(t.owner.get("/apps/dusk").await.status, 404, "it is 30 days ago");
    // Until then, nobody else gets the name, and what is pushed to it.
    assert_eq!(t.stranger.post("/apps", json!({ "name": "dusk" })).await.status, 201);
    let taken = [
        t.stranger.post("/apps", json!({ "name": "noon" })).await,
        t.stranger.patch("/apps/dusk", json!({ "name": "noon" })).await,
    ];
    for answer in taken {
        assert_eq!((answer.error().0, answer.error().2), (422, "Name is already taken: noon".to_owned()));
    }
    // Another app of those who manage it gets the name for good.
    t.app("noon").await;
    t.owner.app_delete("noon").await.unwrap();
    assert_eq!(t.owner.get("/apps/noon").await.status, 404);
}

#[tokio::test]
async fn a_destroyed_app_is_really_gone() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server"), ("worker", "./work")]).await;
    t.owner.patch("/apps/dusk/formation/worker", json!({ "quantity": 1 })).await;
    t.dynos("dusk", &["web.1 up v2", "worker.1 up v2"]).await;
    std::fs::create_dir_all(t.data().join("cache").join(app.id.to_string())).unwrap();

    let gone = t.owner.app_delete("dusk").await.unwrap();
    assert_eq!(gone.id, app.id);
    assert_eq!(t.owner.get("/apps/dusk").await.status, 404);
    assert_eq!(t.owner.get(&format!("/apps/{}", app.id)).await.status, 404);
    // The name is available immediately.
    t.app("dusk").await;
    until("the app is taken apart", async || {
        let rows: i64 =
            sqlx::query_scalar("select count(*) from apps where id = $1").bind(app.id).fetch_one(&t.db).await.unwrap();
        if rows == 0 { Ok(()) } else { Err("the row".into()) }
    })
    .await;
    let left = dyno::Driver::list(t.driver.as_ref()).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    // They got SIGTERM, not SIGKILL.
    let signals: Vec<i32> = t.driver.signals().into_iter().map(|(_, signal)| signal).collect();
    assert_eq!(signals, [15, 15]);
    for folder in ["unpacked", "cache", "builds", "metrics", "logs"] {
        assert!(!t.data().join(folder).join(app.id.to_string()).exists(), "{folder}");
    }
    let slugs = walk(&t.data().join("slugs"));
    assert_eq!(slugs, Vec::<String>::new());
    let events = t.owner.event_list_all().await.unwrap();
    assert!(events.iter().any(|e| e.action == "app.delete" && e.subject == "dusk"));
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files =
        entries.flat_map(|e| if e.path().is_dir() { walk(&e.path()) } else { vec![e.path().display().to_string()] });
    files.collect()
}

#[tokio::test]
async fn an_unknown_app_is_reported_first() {
    let t = World::start().await;
    t.app("dusk").await;
    let expected = json!({ "id": "not_found", "resource": "app", "message": "Couldn't find that app." });
    for path in ["", "/releases", "/releases/v1", "/dynos/web.1", "/no/such/thing", "/logs", "/formation/web"] {
        for (who, app) in
            [(&t.owner, "nope"), (&t.stranger, "dusk"), (&t.owner, "00000000-0000-0000-0000-000000000000")]
        {
            let answer = who.get(&format!("/apps/{app}{path}")).await;
            assert_eq!((answer.status, answer.json()), (404, expected.clone()), "{app}{path}");
        }
    }
    assert_eq!(t.owner.get("/apps/dusk/no/such/thing").await.json()["resource"], "route");
    assert_eq!(t.owner.get("/no/such/thing").await.error().0, 404);
    assert_eq!(t.owner.get("/apps/dusk%00").await.error().0, 400);
}

#[tokio::test]
async fn an_app_without_extras_has_none() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    assert_eq!(t.owner.get("/apps/dusk/addons").await.json(), json!([]));
    assert_eq!(t.owner.get("/apps/dusk/pipeline-couplings").await.error().0, 404);
    let people = t.owner.collaborator_list("dusk").await.unwrap();
    assert_eq!((people.len(), people[0].role.as_str()), (1, "owner"));
    let found = t
        .owner
        .post("/filters/apps", json!({ "in": { "id": [app.id, "00000000-0000-0000-0000-000000000000"] } }))
        .await;
    assert_eq!(found.json().as_array().unwrap().len(), 1);
    assert_eq!(t.owner.post("/filters/apps", json!({})).await.error().0, 422);
}

#[tokio::test]
async fn an_app_at_a_glance() {
    let t = World::start().await;
    t.app("dusk").await;
    let glance = async || {
        let all = t.owner.app_summary_list().await.unwrap();
        let status = t.owner.app_status("dusk").await.unwrap();
        assert_eq!((all[0].condition, &all[0].detail), (status.condition, &status.detail));
        format!("{:?}: {}", status.condition, status.detail)
    };
    assert_eq!(glance().await, "Empty: Nothing deployed yet");
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert_eq!(glance().await, "Up: 1 dyno up");
    t.owner.patch("/apps/dusk/formation/web", json!({ "quantity": 0 })).await;
    assert_eq!(glance().await, "Off: Scaled to zero");
    t.owner.patch("/apps/dusk", json!({ "maintenance": true })).await;
    assert_eq!(glance().await, "Maintenance: Visitors see the maintenance page");
    let status = t.owner.app_status("dusk").await.unwrap();
    let rights = ["view", "logs", "config", "deploy", "run", "scale", "operate", "access", "manage"];
    assert_eq!(status.permissions, rights);
    assert_eq!(t.stranger.app_summary_list().await.unwrap(), []);
}
