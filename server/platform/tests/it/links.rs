//! Links: resources are rendered without a caller, for a reader without rights.

use api::{builds::BuildStatus, ids::AppId};
use base::links::Links;
use dyno::fake::Reaction;
use serde_json::{Value, json};

use crate::{
    builds::{build, ended, source},
    world::World,
};

#[tokio::test]
async fn resources_without_a_caller_lack_only_pre_signed_urls() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|spec| match spec.name.starts_with("build.") {
        true => Reaction::Exit(0),
        false => Reaction::Run,
    });
    let made = build(&t, "dusk", &source(&t).await).await;
    assert_eq!(ended(&t, "dusk", &made).await.status, BuildStatus::Succeeded);
    let app_id = AppId(made.app.id);
    let app = store::apps::app_info(&t.db, app_id).await.unwrap().unwrap();
    let links = Links::unsigned(&t.platform);

    let unsigned = json!(platform::apps::shown(&app, &links));
    let own = t.owner.get("/apps/dusk").await.json();
    assert_eq!(unsigned["git_url"], format!("{}/dusk.git", t.platform.settings().url()));
    assert_eq!(without(&unsigned, &["git_url"]), without(&own, &["git_url"]));

    let row = store::builds::build_info(&t.db, made.id).await.unwrap().unwrap();
    let unsigned = json!(builds::shown(&row, None, &links));
    let own = t.owner.get("/apps/dusk/builds/1").await.json();
    assert!(own["output_stream_url"].as_str().unwrap().contains("/streams/builds/"), "{own}");
    assert!(own["source_blob"]["url"].as_str().unwrap().contains("/blobs/sources/"), "{own}");
    assert_eq!((&unsigned["output_stream_url"], &unsigned["source_blob"]["url"]), (&json!(""), &Value::Null));
    let opening = ["output_stream_url", "source_blob"];
    assert_eq!(without(&unsigned, &opening), without(&own, &opening));

    let mut row = store::releases::release_at(&t.db, app_id, 2).await.unwrap().unwrap();
    row.has_output = true;
    let unsigned = json!(platform::releases::shown(&row, Some(row.id), &app, &links));
    let own = t.owner.get("/apps/dusk/releases/2").await.json();
    assert_eq!(unsigned["output_stream_url"], Value::Null);
    assert_eq!(without(&unsigned, &[]), without(&own, &[]));
}

/// A resource without these fields.
fn without(resource: &Value, fields: &[&str]) -> Value {
    let mut resource = resource.clone();
    let all = resource.as_object_mut().unwrap();
    fields.iter().for_each(|field| drop(all.remove(*field)));
    resource
}
