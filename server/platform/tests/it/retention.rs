//! Resources of deleted apps are removed, and not created again.

use std::path::PathBuf;

use api::ids::AppId;
use chrono::Utc;
use platform::testing::sweep_leftovers;
use serde_json::{Value, json};

use crate::world::{World, until};

/// Waits until this many connections wait for a lock.
async fn waiting(t: &World, wanted: i64) {
    until("they wait for a lock", async || {
        let text =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        match sqlx::query_scalar::<_, i64>(text).fetch_one(&t.db).await.unwrap() {
            found if found == wanted => Ok(()),
            found => Err(found.to_string()),
        }
    })
    .await;
}

/// The folders named after this app.
fn folders(t: &World, app: AppId) -> [PathBuf; 6] {
    let folder = |folder: &str, ending: &str| t.data().join(folder).join(format!("{app}{ending}"));
    [
        folder("git", ".git"),
        folder("cache", ""),
        folder("unpacked", ""),
        folder("builds", ""),
        folder("metrics", ""),
        folder("logs", ""),
    ]
}

#[tokio::test]
async fn folders_that_belong_to_no_app_are_removed_after_a_day() {
    let t = World::start().await;
    t.platform.leave_jobs();
    let lives = t.app("dusk").await.id;
    let ends = t.app("dawn").await.id;
    // Its row stays, since the job that destroys it does not run.
    t.owner.app_delete("dawn").await.unwrap();
    let gone = AppId::now_v7();
    for folder in [lives, ends, gone].iter().flat_map(|app| folders(&t, *app)) {
        std::fs::create_dir_all(folder.join("refs")).unwrap();
        std::fs::write(folder.join("HEAD"), "x").unwrap();
    }
    let now = Utc::now();
    assert_eq!(sweep_leftovers(&t.platform, now).await.unwrap(), Vec::<String>::new());
    assert!(folders(&t, gone).iter().all(|folder| folder.exists()));

    let done = sweep_leftovers(&t.platform, now + chrono::Duration::hours(25)).await.unwrap();
    for folder in folders(&t, gone) {
        assert!(!folder.exists(), "{}", folder.display());
        let line = format!("removed {}, which belongs to no app", folder.display());
        assert!(done.contains(&line), "{line} of {done:?}");
    }
    assert_eq!(done.len(), 6);
    assert!(folders(&t, lives).iter().chain(&folders(&t, ends)).all(|folder| folder.exists()));
}

#[tokio::test]
async fn whoever_was_let_in_before_an_app_was_destroyed_makes_no_repository() {
    let t = World::start().await;
    let app = t.app("dusk").await.id;
    let owner = store::quotas::quota_owner(&t.db, app).await.unwrap().unwrap();
    let mut held = t.db.begin().await.unwrap();
    store::quotas::quota_lock(&mut *held, owner).await.unwrap();
    let asked = async {
        let info = t.owner.ask("GET", "/dusk.git/info/refs?service=git-receive-pack").into_future();
        futures::join!(info, t.owner.post("/apps/dusk/samples/node", Value::Null))
    };
    let destroyed = async {
        waiting(&t, 2).await;
        t.owner.app_delete("dusk").await.unwrap();
        let rows = "select count(*) from apps where id = $1";
        until("the app is gone", async || {
            match sqlx::query_scalar::<_, i64>(rows).bind(app).fetch_one(&t.db).await.unwrap() {
                0 => Ok(()),
                _ => Err("its row".to_owned()),
            }
        })
        .await;
        held.rollback().await.unwrap();
    };
    let ((info, sample), ()) = futures::join!(asked, destroyed);
    assert_eq!((info.error().0, sample.error().0), (404, 404), "{info:?} {sample:?}");
    let left: Vec<_> =
        std::fs::read_dir(t.data().join("git")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["hooks"]);
}

#[tokio::test]
async fn an_app_that_is_being_destroyed_gets_no_build() {
    let t = World::start().await;
    t.platform.leave_jobs();
    let app = t.app("dusk").await.id;
    let source = json!({ "source_blob": { "url": "https://example.com/a.tar.gz" } });
    // Requests that were authorized before wait for the app's row.
    let mut held = t.db.begin().await.unwrap();
    assert!(store::apps::app_mark_deleted(&mut *held, app, Utc::now()).await.unwrap());
    let asked = async {
        futures::join!(t.owner.post("/apps/dusk/samples/node", Value::Null), t.owner.post("/apps/dusk/builds", source))
    };
    let destroyed = async {
        waiting(&t, 2).await;
        held.commit().await.unwrap();
    };
    let ((sample, build), ()) = futures::join!(asked, destroyed);
    assert_eq!((sample.error().0, build.error().0), (404, 404), "{sample:?} {build:?}");
    let builds: i64 = sqlx::query_scalar("select count(*) from builds").fetch_one(&t.db).await.unwrap();
    assert_eq!(builds, 0);
}
