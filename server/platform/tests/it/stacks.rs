//! Stacks, regions, sizes and features: the available choices.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn what_there_is_can_be_listed_and_found_by_name_and_id() {
    let t = World::start().await;
    t.app("dusk").await;
    for (list, of_app) in
        [("/stacks", "/apps/dusk/available-stacks"), ("/dyno-sizes", "/apps/dusk/available-dyno-sizes")]
    {
        let all = t.owner.get(list).await.json();
        assert_eq!(all, t.owner.get(of_app).await.json());
        for item in all.as_array().unwrap() {
            for key in ["id", "name"] {
                let path = format!("{list}/{}", item[key].as_str().unwrap());
                assert_eq!(&t.owner.get(&path).await.json(), item, "{path}");
            }
        }
        assert_eq!(t.owner.get(&format!("{list}/nope")).await.error().0, 404);
    }
    assert_eq!(t.owner.stack_list().await.unwrap().iter().filter(|s| s.default).count(), 1);
    assert_eq!(t.owner.get("/regions/us").await.json(), t.owner.get("/regions").await.json()[0]);
    assert_eq!(t.owner.get("/regions/moon").await.error().0, 404);
}

#[tokio::test]
async fn features_are_switched() {
    let t = World::start().await;
    t.app("dusk").await;
    let enabled = async || {
        let all = t.owner.feature_list("dusk").await.unwrap();
        all.into_iter().filter(|f| f.enabled).map(|f| f.name).collect::<Vec<_>>()
    };
    assert_eq!(enabled().await, Vec::<String>::new());
    let feature = "/apps/dusk/features/http-session-affinity";
    assert_eq!(t.owner.patch(feature, json!({ "enabled": true })).await.json()["enabled"], true);
    assert_eq!(enabled().await, ["http-session-affinity"]);
    assert_eq!(t.owner.get(feature).await.json()["enabled"], true);
    t.owner.patch(feature, json!({ "enabled": 0 })).await;
    assert_eq!(enabled().await, Vec::<String>::new());
    assert_eq!(t.owner.patch(feature, json!({})).await.error().0, 422);
    assert_eq!(t.owner.patch("/apps/dusk/features/nope", json!({ "enabled": true })).await.error().0, 404);
}

#[tokio::test]
async fn buildpacks_are_replaced_as_a_whole() {
    let t = World::start().await;
    t.app("dusk").await;
    let given =
        json!({ "updates": [{ "buildpack": "heroku/nodejs" }, { "buildpack": "https://example.com/pack.git" }] });
    let set = t.owner.ask("PUT", "/apps/dusk/buildpack-installations").body(given.to_string()).await;
    assert_eq!(set.status, 200, "{set:?}");
    let list = t.owner.buildpack_installation_list("dusk").await.unwrap();
    let found: Vec<_> = list.iter().map(|b| (b.ordinal, b.buildpack.url.clone().unwrap())).collect();
    assert_eq!(found, [(0, "urn:buildpack:heroku/nodejs".into()), (1, "https://example.com/pack.git".into())]);
    t.owner.buildpack_installation_update("dusk", &[]).await.unwrap();
    assert_eq!(t.owner.buildpack_installation_list("dusk").await.unwrap(), []);
    let odd = t.owner.buildpack_installation_update("dusk", &["not a buildpack".into()]).await.unwrap_err();
    assert_eq!(odd.status, 422);
}
