//! Config vars: one release per change, encrypted at rest, in layers.

use api::ids::{AccountId, ConfigSetId};
use base::{Error, Subject, events::EventActor};
use platform::{
    config_layers::{Source, Vars},
    config_vars::{LayerReplace, config_layer_replace},
};
use serde_json::json;

use crate::world::{World, until};

impl World {
    /// Sets the vars of an add-on, as an area for add-ons would. Returns the version of the release.
    async fn attach(&self, app: &str, addon: &str, vars: serde_json::Value) -> Result<Option<i32>, Error> {
        let id = self.owner.app_info(app).await.unwrap().id;
        let account: AccountId = sqlx::query_scalar("select owner_id from apps where name = $1")
            .bind(app)
            .fetch_one(&self.db)
            .await
            .unwrap();
        let subject = Subject::app(id, app);
        let mut change = self.platform.change(EventActor::platform(), subject).await?;
        let vars: Vars = serde_json::from_value(vars).unwrap();
        let (source, description) = (Source::Addon(addon.into()), "Change the add-on");
        let wanted = LayerReplace { app: id, source, vars, description, account };
        let made = config_layer_replace(&self.platform, &mut change, wanted).await?;
        change.record("addon.update", "Changed an add-on.", json!({}));
        change.commit().await?;
        Ok(made)
    }

    /// No table contains this unencrypted.
    async fn is_stored_nowhere(&self, secret: &str) {
        let tables: Vec<String> =
            sqlx::query_scalar("select table_name::text from information_schema.tables where table_schema = 'public'")
                .fetch_all(&self.db)
                .await
                .unwrap();
        assert!(tables.len() > 10 && tables.iter().any(|table| table == "configs"));
        for table in tables {
            let query = format!(
                "select count(*) from {table} t where position('{secret}' in t::text) > 0
                or position(encode('{secret}', 'hex') in t::text) > 0"
            );
            let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&self.db).await.unwrap();
            assert_eq!(found, 0, "{table}");
        }
    }

    /// The sets of config vars that the releases of an app refer to, oldest first, and that of the app.
    async fn sets(&self, app: &str) -> (Vec<ConfigSetId>, ConfigSetId) {
        let id = self.owner.app_info(app).await.unwrap().id;
        let mut releases = Vec::new();
        while let Some(row) = store::releases::release_at(&self.db, id, releases.len() as i32 + 1).await.unwrap() {
            releases.push(row.config_id);
        }
        (releases, store::config_vars::config_vars_current(&self.db, id).await.unwrap().unwrap())
    }
}

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
    t.is_stored_nowhere(secret).await;
    // Dynos get it nevertheless.
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

#[tokio::test]
async fn what_leaves_config_alone_keeps_its_set_and_going_back_takes_the_old_one() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    t.deploy("dusk", &[("web", "./one")]).await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "2" })).await;
    t.deploy("dusk", &[("web", "./two")]).await;
    let (sets, current) = t.sets("dusk").await;
    assert_eq!((sets[2], sets[4], current), (sets[1], sets[3], sets[3]));
    assert!(sets[0] != sets[1] && sets[1] != sets[3]);
    for (to, was) in [("v3", 2), ("v5", 3), ("v1", 0)] {
        let back = t.owner.post("/apps/dusk/releases", json!({ "release": to })).await;
        assert_eq!(back.status, 201, "{back:?}");
        let (all, current) = t.sets("dusk").await;
        assert_eq!((all.last(), current), (Some(&sets[was]), sets[was]));
    }
    assert_eq!(t.owner.get("/apps/dusk/config-vars").await.json(), json!({}));
    assert_eq!(t.owner.release_config_vars("dusk", "v6").await.unwrap()["A"], "1");
    // Only three were ever stored, and they are deleted with the app.
    let count = async || sqlx::query_scalar::<_, i64>("select count(*) from configs").fetch_one(&t.db).await.unwrap();
    assert_eq!(count().await, 3);
    t.owner.delete("/apps/dusk").await;
    until("the sets are gone", async || match count().await {
        0 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
}

#[tokio::test]
async fn vars_of_an_add_on_are_a_release_and_nobody_else_changes_them() {
    let t = World::start().await;
    t.app("dusk").await;
    let vars = "/apps/dusk/config-vars";
    t.owner.patch(vars, json!({ "A": "1", "DATABASE_URL": "mine" })).await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v3"]).await;
    let secret = "postgres://me:correct-horse@db/x";
    assert_eq!(t.attach("dusk", "DATABASE", json!({ "DATABASE_URL": secret })).await.unwrap(), Some(4));
    assert_eq!(t.attach("dusk", "DATABASE", json!({ "DATABASE_URL": secret })).await.unwrap(), None);
    t.dynos("dusk", &["web.1 up v4"]).await;
    let (_, current) = t.sets("dusk").await;
    assert_eq!(t.owner.release_list("dusk", 1).await.unwrap()[0].description, "Change the add-on");
    assert_eq!(t.owner.get(vars).await.json(), json!({ "A": "1", "DATABASE_URL": secret }));
    for odd in [json!({ "B": "x", "DATABASE_URL": "other" }), json!({ "DATABASE_URL": null })] {
        let refused = t.owner.patch(vars, odd).await.error();
        assert_eq!((refused.0, refused.2.contains("DATABASE_URL is set by the add-on DATABASE")), (422, true));
    }
    let refused = t.attach("dusk", "OTHER", json!({ "DATABASE_URL": "x" })).await.unwrap_err().to_string();
    assert!(refused.contains("DATABASE_URL is set by the add-on DATABASE"), "{refused}");
    assert_eq!(t.sets("dusk").await.1, current);
    assert_eq!(t.owner.patch(vars, json!({ "B": "2", "DATABASE_URL": secret })).await.status, 200);
    t.dynos("dusk", &["web.1 up v5"]).await;
    let spec = t.driver.started().pop().unwrap();
    assert_eq!((spec.env["DATABASE_URL"].as_str(), spec.env["B"].as_str()), (secret, "2"));
    t.is_stored_nowhere(secret).await;

    // A rollback does not affect add-ons.
    let effects = t.owner.release_rollback_effects("dusk", "v3").await.unwrap();
    assert_eq!((effects.config_set.len(), effects.config_unset), (0, vec!["B".to_owned()]));
    t.owner.post("/apps/dusk/releases", json!({ "release": "v3" })).await;
    assert_eq!(t.owner.get(vars).await.json(), json!({ "A": "1", "DATABASE_URL": secret }));
    // Without it, the value that it has hidden is effective again.
    assert_eq!(t.attach("dusk", "DATABASE", json!({})).await.unwrap(), Some(7));
    assert_eq!(t.owner.get(vars).await.json(), json!({ "A": "1", "DATABASE_URL": "mine" }));
}

#[tokio::test]
async fn users_and_add_ons_at_once_lose_nothing() {
    let t = World::start().await;
    t.app("dusk").await;
    let slug = t.slug("dusk", &[("web", "./server")]).await;
    let users = (0..5).map(|n| {
        let ask = t.owner.ask("PATCH", "/apps/dusk/config-vars").body(json!({ format!("K{n}"): "x" }).to_string());
        ask.into_future()
    });
    let slugs = (0..3).map(|_| {
        let ask = t.owner.ask("POST", "/apps/dusk/releases").body(json!({ "slug": slug }).to_string());
        ask.into_future()
    });
    let addons = (0..5).map(|n| {
        let (t, addon) = (&t, format!("DATABASE_{n}"));
        async move { t.attach("dusk", &addon, json!({ format!("{addon}_URL"): "x" })).await }
    });
    let (answers, attached) =
        tokio::join!(futures::future::join_all(users.chain(slugs)), futures::future::join_all(addons));
    assert!(answers.iter().all(|answer| answer.status < 300), "{answers:?}");
    assert!(attached.iter().all(|made| matches!(made, Ok(Some(_)))), "{attached:?}");
    assert_eq!(t.owner.config_vars_info("dusk").await.unwrap().len(), 10);
    let (sets, current) = t.sets("dusk").await;
    assert_eq!((sets.len(), sets.last()), (14, Some(&current)));
}
