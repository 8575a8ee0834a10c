//! Log drains: stored, and found by id, token and URL.

use api::{client::segment, log_drains::LogDrainCreate};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn drains_are_found_in_three_ways() {
    let t = World::start().await;
    t.app("dusk").await;
    let add = async |n: u8| {
        let create = LogDrainCreate { url: format!("https://user:secret@logs.example.com/{n}?a=b/c") };
        t.owner.log_drain_create("dusk", &create).await.unwrap()
    };
    let drains = [add(1).await, add(2).await, add(3).await];
    assert!(drains[0].token.starts_with("d."));
    for key in [drains[0].id.to_string(), drains[0].token.clone(), drains[0].url.clone()] {
        let found = t.owner.get(&format!("/apps/dusk/log-drains/{}", segment(&key))).await;
        assert_eq!(found.json()["id"], drains[0].id.to_string(), "{key}");
    }
    t.owner.log_drain_delete("dusk", &drains[0].id.to_string()).await.unwrap();
    t.owner.log_drain_delete("dusk", &drains[1].token).await.unwrap();
    t.owner.log_drain_delete("dusk", &drains[2].url).await.unwrap();
    assert_eq!(t.owner.log_drain_list("dusk").await.unwrap(), []);
    assert_eq!(t.owner.log_drain_delete("dusk", &drains[2].url).await.unwrap_err().status, 404);
    // The password must not be recorded.
    assert!(!t.owner.get("/apps/dusk/events").await.text().contains("secret"));
}

#[tokio::test]
async fn an_app_has_five_drains_and_each_once() {
    let t = World::start().await;
    t.app("dusk").await;
    let add = async |url: &str| t.owner.post("/apps/dusk/log-drains", json!({ "url": url })).await;
    for odd in [
        "",
        "ftp://x",
        "https://",
        "logs.example.com",
        "https://a b",
        "https://a\u{7}",
        "https://a/\u{202e}b",
        "https://ä.example",
    ] {
        assert_eq!(add(odd).await.error().0, 422, "{odd}");
    }
    assert_eq!(t.owner.post("/apps/dusk/log-drains", json!({})).await.error().0, 422);
    for n in 0..5 {
        assert_eq!(add(&format!("syslog+tls://logs.example.com:{n}")).await.status, 201);
        if n == 0 {
            assert_eq!(add("syslog+tls://logs.example.com:0").await.error().2, "Url has already been taken");
        }
    }
    assert_eq!(add("https://one.too.many").await.error().2, "An app can have at most 5 drains. Remove one first.");
}

#[tokio::test]
async fn a_drain_of_the_first_version_is_found() {
    let t = World::start().await;
    t.app("dusk").await;
    let create = LogDrainCreate { url: "https://logs.example.com/1".into() };
    let drain = t.owner.log_drain_create("dusk", &create).await.unwrap();
    let app = drain.app.clone().unwrap().id;
    let print = |text: &str| {
        let mac = t.platform.secrets().legacy_mac(&format!("log drain of {app}"), text.as_bytes());
        format!("sealed:{}", hex::encode(mac))
    };
    sqlx::query("update log_drains set url = $1, token = $2")
        .bind(print(&drain.url))
        .bind(print(&drain.token))
        .execute(&t.db)
        .await
        .unwrap();
    let again = t.owner.post("/apps/dusk/log-drains", json!({ "url": drain.url })).await;
    assert_eq!(again.error().2, "Url has already been taken");
    for key in [&drain.token, &drain.url] {
        let found = t.owner.get(&format!("/apps/dusk/log-drains/{}", segment(key))).await;
        assert_eq!(found.json()["id"], drain.id.to_string(), "{key}");
    }
}
