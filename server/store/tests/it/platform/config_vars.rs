//! Config vars: every query, and rows of versions before sets.

use api::ids::{AccountId, AppId, ConfigSetId, ReleaseId};
use sqlx::PgPool;
use store::{config_vars::*, releases};

use crate::world::{World, at};

#[tokio::test]
async fn config_vars() {
    let w = World::start().await;
    let (app, other) = (w.app("dusk").await, w.app("dawn").await);
    assert_eq!(config_vars_current(&w.db, app).await.unwrap(), None);
    assert_eq!(config_vars_of_app(&w.db, app).await.unwrap(), None);
    for sealed in [b"one", b"two"] {
        let set = w.config(app, sealed).await;
        config_vars_choose(&w.db, app, set).await.unwrap();
        assert_eq!(config_vars_current(&w.db, app).await.unwrap(), Some(set));
        assert_eq!(config_vars_info(&w.db, set).await.unwrap().as_deref(), Some(&sealed[..]));
        assert_eq!(config_vars_of_app(&w.db, app).await.unwrap().as_deref(), Some(&sealed[..]));
    }
    let release = w.release(app, "succeeded", None).await;
    assert_eq!(config_vars_of_release(&w.db, release).await.unwrap().as_deref(), Some(&b"sealed"[..]));
    assert_eq!(config_vars_of_release(&w.db, ReleaseId::now_v7()).await.unwrap(), None);
    assert_eq!(config_vars_info(&w.db, ConfigSetId::now_v7()).await.unwrap(), None);

    // A set belongs to one app.
    let set = w.config(app, b"three").await;
    let refused = config_vars_choose(&w.db, other, set).await.unwrap_err();
    assert_eq!(store::broken_constraint(&refused).as_deref(), Some("apps_config_fkey"));
    let new = releases::New {
        id: ReleaseId::now_v7(),
        app: other,
        status: api::releases::ReleaseStatus::Succeeded,
        description: "Deploy",
        account: w.account.id,
        slug: None,
        config: set,
        commit: None,
        watch: None,
        now: at(1),
    };
    let refused = releases::release_create(&mut w.db.acquire().await.unwrap(), &new).await.unwrap_err();
    assert_eq!(store::broken_constraint(&refused).as_deref(), Some("releases_config_fkey"));

    // A set that an app or a release refers to cannot be removed alone.
    assert!(sqlx::query("delete from configs").execute(&w.db).await.is_err());
    store::apps::app_delete(&mut w.db.acquire().await.unwrap(), app).await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from configs").fetch_one(&w.db).await.unwrap();
    assert_eq!(left, 0);
    // Nor does the order of removal matter.
    w.release(other, "succeeded", None).await;
    sqlx::query("delete from apps where id = $1").bind(other).execute(&w.db).await.unwrap();
}

/// A server that stored config vars for each app and each release.
struct Before<'a>(&'a PgPool, AccountId);

impl Before<'_> {
    async fn save(&self, app: AppId, sealed: &str) {
        let query = "insert into config_vars (app_id, sealed, updated_at) values ($1, $2, $3)
            on conflict (app_id) do update set sealed = excluded.sealed, updated_at = excluded.updated_at";
        sqlx::query(query).bind(app).bind(sealed.as_bytes()).bind(at(1)).execute(self.0).await.unwrap();
    }

    async fn release(&self, app: AppId, sealed: &str) -> ReleaseId {
        let id = ReleaseId::now_v7();
        let query = "insert into releases (id, app_id, version, status, description, account_id, config, created_at,
                                           updated_at)
            select $1, $2, coalesce(max(version), 0) + 1, 'succeeded', '', $3, $4, $5, $5
            from releases where app_id = $2 on conflict (id) do nothing";
        let insert = sqlx::query(query).bind(id).bind(app).bind(self.1).bind(sealed.as_bytes()).bind(at(1));
        insert.execute(self.0).await.unwrap();
        id
    }
}

fn text(sealed: Option<Vec<u8>>) -> String {
    sealed.map_or_else(|| "nothing".to_owned(), |sealed| String::from_utf8(sealed).unwrap())
}

async fn of_app(db: &PgPool, app: AppId) -> String {
    text(config_vars_of_app(db, app).await.unwrap())
}

async fn of_release(db: &PgPool, release: ReleaseId) -> String {
    text(config_vars_of_release(db, release).await.unwrap())
}

#[tokio::test]
async fn what_the_server_before_has_sealed_is_found_as_it_is() {
    let w = World::start().await;
    let before = Before(&w.db, w.account.id);
    let (app, unchanged) = (w.app("dusk").await, w.app("dawn").await);
    w.before_configs().await;
    let first = before.release(app, "{}").await;
    before.save(app, "A=1, of the app").await;
    let second = before.release(app, "A=1").await;
    let other = before.release(unchanged, "empty").await;
    w.after_configs().await;
    assert_eq!(of_app(&w.db, app).await, "A=1, of the app");
    assert_eq!((of_release(&w.db, first).await, of_release(&w.db, second).await), ("{}".into(), "A=1".into()));
    assert_eq!((of_app(&w.db, unchanged).await, of_release(&w.db, other).await), ("empty".into(), "empty".into()));
    // Later writes do not depend on it.
    let set = w.config(app, b"A=2").await;
    config_vars_choose(&w.db, app, set).await.unwrap();
    assert_eq!((of_app(&w.db, app).await, of_release(&w.db, second).await), ("A=2".into(), "A=1".into()));
    for app in [app, unchanged] {
        store::apps::app_delete(&mut w.db.acquire().await.unwrap(), app).await.unwrap();
    }
}
