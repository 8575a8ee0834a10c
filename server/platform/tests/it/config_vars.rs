//! Config vars: one release for each change, sealed at rest.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn one_value_may_be_as_large_as_all_together() {
    let t = World::start().await;
    t.app("dusk").await;
    let large = "é\n".repeat(((64 << 10) - 3) / 3);
    let set = t.owner.patch("/apps/dusk/config-vars", json!({ "A": large })).await;
    assert_eq!((set.status, set.json()["A"].as_str()), (200, Some(large.as_str())));
    let refused = t.owner.patch("/apps/dusk/config-vars", json!({ "A": "x".repeat(64 << 10) })).await;
    assert!(refused.error().2.contains("at most 65536 (64 KB)"), "{refused:?}");
}

#[tokio::test]
async fn a_change_is_one_release_and_none_is_none() {
    let t = World::start().await;
    t.app("dusk").await;
    let vars = "/apps/dusk/config-vars";
    let set = t.owner.patch(vars, json!({ "A": "1", "B": "2", "N": 3, "T": true })).await;
    assert_eq!(set.json(), json!({ "A": "1", "B": "2", "N": "3", "T": "true" }));
    let releases = async || {
        let all = t.owner.release_list("dusk", 10).await.unwrap();
        all.iter().map(|r| format!("v{} {}", r.version, r.description)).collect::<Vec<_>>()
    };
    assert_eq!(releases().await, ["v2 Set A, B, N, T config vars", "v1 Initial release"]);

    t.owner.patch(vars, json!({ "A": "1", "Z": null })).await;
    assert_eq!(releases().await.len(), 2);
    t.owner.patch(vars, json!({ "A": null, "B": "3", "N": null, "T": null })).await;
    assert_eq!(releases().await[0], "v3 Set B config vars and Remove A, N, T config vars");
    assert_eq!(t.owner.get(vars).await.json(), json!({ "B": "3" }));
    assert_eq!(t.owner.release_config_vars("dusk", "v2").await.unwrap()["A"], "1");
    let log = t.log_with("dusk", "Release v3 created by user").await;
    assert!(log.contains("Set A, B, N, T config vars by user"), "{log}");
    assert!(!log.contains("A=1"));
}

#[tokio::test]
async fn what_no_process_can_be_given_is_refused() {
    let t = World::start().await;
    t.app("dusk").await;
    for odd in [
        json!({ "1A": "x" }),
        json!({ "A=B": "x" }),
        json!({ "A": "x\u{0}" }),
        json!({ "A": ["x"] }),
        json!({ "A": "x".repeat(70_000) }),
    ] {
        assert_eq!(t.owner.patch("/apps/dusk/config-vars", odd).await.error().0, 422);
    }
    assert_eq!(t.owner.patch("/apps/dusk/config-vars", json!(["A"])).await.error().0, 422);
    assert_eq!(t.owner.release_list("dusk", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn values_are_sealed_in_the_database_and_not_in_the_audit_log() {
    let t = World::start().await;
    t.app("dusk").await;
    let secret = "correct-horse-battery";
    t.owner.patch("/apps/dusk/config-vars", json!({ "SECRET": secret })).await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v3"]).await;
    let tables: Vec<String> =
        sqlx::query_scalar("select table_name::text from information_schema.tables where table_schema = 'public'")
            .fetch_all(&t.db)
            .await
            .unwrap();
    assert!(tables.len() > 10);
    for table in tables {
        let query = format!(
            "select count(*) from {table} t where position('{secret}' in t::text) > 0
            or position(encode('{secret}', 'hex') in t::text) > 0"
        );
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&t.db).await.unwrap();
        assert_eq!(found, 0, "{table}");
    }
    // Dynos get it all the same.
    let spec = t.driver.started().pop().unwrap();
    assert_eq!(spec.env["SECRET"], secret);
}

#[tokio::test]
async fn two_changes_at_once_are_both_kept() {
    let t = World::start().await;
    t.app("dusk").await;
    let changes = (0..8).map(|n| {
        let ask = t.owner.ask("PATCH", "/apps/dusk/config-vars").body(json!({ format!("K{n}"): "x" }).to_string());
        ask.into_future()
    });
    for answer in futures::future::join_all(changes).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(t.owner.config_vars_info("dusk").await.unwrap().len(), 8);
    let versions: Vec<i32> = t.owner.release_list("dusk", 20).await.unwrap().iter().map(|r| r.version).collect();
    assert_eq!(versions, (1..=9).rev().collect::<Vec<_>>());
}
