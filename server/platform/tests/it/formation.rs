//! Formation: quantities and sizes, as clients send them.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn quantities_and_sizes_in_every_form() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server"), ("worker", "./work")]).await;
    let worker = "/apps/dusk/formation/worker";
    for (given, quantity) in [(json!(1), 1), (json!("3"), 3), (json!("+2"), 5), (json!("-1"), 4), (json!("0"), 0)] {
        let answer = t.owner.patch(worker, json!({ "quantity": given })).await;
        assert_eq!(answer.json()["quantity"], quantity, "{given}");
    }
    for (given, name) in [
        (json!({ "size": "standard-2x" }), "Standard-2X"),
        (json!({ "size": "BASIC" }), "Basic"),
        (json!({ "dyno_size": "performance-m" }), "Performance-M"),
        (json!({ "dyno_size": { "name": "Eco" } }), "Eco"),
        (json!({ "size": "2X" }), "Standard-2X"),
    ] {
        let answer = t.owner.patch(worker, given.clone()).await.json();
        assert_eq!((&answer["size"], &answer["dyno_size"]["name"]), (&json!(name), &json!(name)), "{given}");
    }
    for odd in [
        json!({ "quantity": 101 }),
        json!({ "quantity": -1 }),
        json!({ "quantity": "many" }),
        json!({ "size": "huge" }),
    ] {
        assert_eq!(t.owner.patch(worker, odd.clone()).await.error().0, 422, "{odd}");
    }
    let (status, _, message) = t.owner.patch("/apps/dusk/formation/clock", json!({ "quantity": 1 })).await.error();
    assert_eq!((status, message.as_str()), (404, "Couldn't find that process type (clock)."));
    assert_eq!(t.owner.get("/apps/dusk/formation/web").await.json()["command"], "./server");
    t.log_with("dusk", "Scaled to worker@3:Standard-1X by user").await;
}

#[tokio::test]
async fn the_release_phase_is_not_scaled() {
    let t = World::start().await;
    t.app("dusk").await;
    t.driver.react(|spec| match spec.name.starts_with("release.") {
        true => dyno::fake::Reaction::Exit(0),
        false => dyno::fake::Reaction::Run,
    });
    t.deploy("dusk", &[("web", "./server"), ("release", "./migrate")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let (status, _, message) = t.owner.patch("/apps/dusk/formation/release", json!({ "quantity": 1 })).await.error();
    assert_eq!(status, 422);
    assert!(message.starts_with("The release phase cannot be scaled"), "{message}");
    assert_eq!(t.owner.patch("/apps/dusk/formation/release", json!({ "size": "Standard-2X" })).await.status, 200);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server"), ("worker", "./work")]).await;
    let batch = |types: [(&str, i32); 2]| json!({ "updates": types.map(|(t, q)| json!({ "type": t, "quantity": q })) });
    let done = t.owner.patch("/apps/dusk/formation", batch([("web", 2), ("worker", 1)])).await;
    assert_eq!(done.json().as_array().unwrap().len(), 2);
    assert_eq!(t.owner.patch("/apps/dusk/formation", batch([("web", 5), ("clock", 1)])).await.error().0, 404);
    assert_eq!(t.owner.patch("/apps/dusk/formation", batch([("web", 5), ("worker", 101)])).await.error().0, 422);
    let all = t.owner.formation_list("dusk").await.unwrap();
    let found: Vec<_> = all.iter().map(|f| (f.kind.as_str(), f.quantity)).collect();
    assert_eq!(found, [("web", 2), ("worker", 1)]);
    assert_eq!(t.owner.patch("/apps/dusk/formation", json!({ "updates": [{ "quantity": 1 }] })).await.error().0, 422);
    t.dynos("dusk", &["web.1 up v2", "web.2 up v2", "worker.1 up v2"]).await;
}

#[tokio::test]
async fn a_deploy_keeps_quantities_and_brings_new_types_at_zero() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server"), ("worker", "./work")]).await;
    t.owner
        .patch("/apps/dusk/formation", json!({ "updates": [{ "type": "web", "quantity": 2, "size": "Basic" }] }))
        .await;
    t.deploy("dusk", &[("web", "./server2"), ("clock", "./tick")]).await;
    let all = t.owner.formation_list("dusk").await.unwrap();
    let found: Vec<_> = all.iter().map(|f| format!("{} {} {} {}", f.kind, f.quantity, f.size, f.command)).collect();
    assert_eq!(found, ["clock 0 Standard-1X ./tick", "web 2 Basic ./server2"]);
}
