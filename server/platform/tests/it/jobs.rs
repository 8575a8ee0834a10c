//! Jobs survive a crash at every point.

use api::ids::{AppId, SlugId};
use background::{Registry, run_next, testing::survives_a_crash_anywhere};
use builds::testing::{Clean, RunBuild};
use dyno::fake::Reaction;
use platform::testing::{Destroy, Retain, RunRelease, UnpackSlug};
use serde_json::json;
use uuid::Uuid;

use crate::{
    builds::source,
    world::{World, until},
};

/// A platform whose jobs are run by the test.
async fn world(react: impl Fn(&str) -> Reaction + Send + 'static) -> World {
    let t = World::start().await;
    t.platform.leave_jobs();
    t.driver.react(move |spec| react(&spec.name));
    t
}

async fn count(t: &World, query: &'static str, id: impl Into<Uuid>) -> i64 {
    sqlx::query_scalar(query).bind::<Uuid>(id.into()).fetch_one(&t.db).await.unwrap()
}

#[tokio::test]
async fn destroying_an_app() {
    let t = world(|_| Reaction::Run).await;
    let points = survives_a_crash_anywhere(
        &t.db,
        t.platform.clone(),
        async || {
            let app = t.app("dusk").await;
            t.deploy("dusk", &[("web", "./server")]).await;
            t.dynos("dusk", &["web.1 up v2"]).await;
            t.owner.app_delete("dusk").await.unwrap();
            Destroy { app: app.id }
        },
        async |job| {
            for query in [
                "select count(*) from apps where id = $1",
                "select count(*) from releases where app_id = $1",
                "select count(*) from dynos where app_id = $1",
            ] {
                assert_eq!(count(&t, query, job.app).await, 0, "{query}");
            }
            assert_eq!(dyno::Driver::list(t.driver.as_ref()).await.unwrap(), []);
            assert!(!t.data().join("unpacked").join(job.app.to_string()).exists());
        },
    )
    .await;
    assert_eq!(points, 12);
}

#[tokio::test]
async fn the_destruction_of_an_app_goes_on_when_its_last_dyno_has_ended() {
    let t = world(|_| Reaction::Stubborn).await;
    let app = t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    t.owner.app_delete("dusk").await.unwrap();
    let registry = Registry::default().with::<Destroy>(t.platform.clone());
    assert!(run_next(&t.db, &registry).await.unwrap());
    let row = async || -> (bool, Option<String>) {
        let job = "select woken, waits_for from jobs where kind = 'apps.destroy' and subject = $1";
        sqlx::query_as(job).bind(app.id).fetch_one(&t.db).await.unwrap()
    };
    assert_eq!(row().await, (false, Some("1 dynos to end".to_owned())));
    let run = t.driver.running("web.1").unwrap().handle.id;
    t.driver.exit(run, 0);
    until("it is woken", async || if row().await.0 { Ok(()) } else { Err("it sleeps".to_owned()) }).await;
    assert!(run_next(&t.db, &registry).await.unwrap());
    assert_eq!(count(&t, "select count(*) from apps where id = $1", app.id).await, 0);
}

async fn release_phase(code: i32, status: &str, formation: i64) {
    let t = world(move |name| if name.starts_with("release.") { Reaction::Exit(code) } else { Reaction::Run }).await;
    let mut n = 0;
    let points = survives_a_crash_anywhere(
        &t.db,
        t.platform.clone(),
        async || {
            n += 1;
            let app = format!("dusk-{n}");
            t.app(&app).await;
            let release = t.deploy(&app, &[("web", "./server"), ("release", "./migrate")]).await;
            RunRelease { release: release.id }
        },
        async |job| {
            let found: String = sqlx::query_scalar("select status from releases where id = $1")
                .bind(job.release)
                .fetch_one(&t.db)
                .await
                .unwrap();
            assert_eq!(found, status);
            // The command ran exactly once.
            assert_eq!(t.driver.started().iter().filter(|spec| spec.id == job.release.into()).count(), 1);
            let formed = "select count(*) from formation f join releases r on r.app_id = f.app_id where r.id = $1";
            assert_eq!(count(&t, formed, job.release).await, formation);
            let noted = "select count(*) from events e join releases r on r.app_id = e.app_id
                         where r.id = $1 and e.action = 'release.phase'";
            assert_eq!(count(&t, noted, job.release).await, 1);
        },
    )
    .await;
    assert_eq!(points, 3);
}

#[tokio::test]
async fn a_release_phase_that_succeeds() {
    release_phase(0, "succeeded", 2).await;
}

#[tokio::test]
async fn a_release_phase_that_fails() {
    release_phase(1, "failed", 0).await;
}

#[tokio::test]
async fn unpacking_a_slug() {
    let t = world(|_| Reaction::Run).await;
    t.platform.leave_slugs();
    let mut n = 0;
    let points = survives_a_crash_anywhere(
        &t.db,
        t.platform.clone(),
        async || {
            n += 1;
            let app = format!("dusk-{n}");
            t.app(&app).await;
            UnpackSlug { release: t.deploy(&app, &[("web", "./server")]).await.id }
        },
        async |job| {
            let query = "select app_id, slug_id from releases where id = $1";
            let (app, slug): (AppId, SlugId) = sqlx::query_as(query).bind(job.release).fetch_one(&t.db).await.unwrap();
            let folder = t.data().join("unpacked").join(app.to_string());
            assert!(folder.join(slug.to_string()).join("server").exists());
            assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
        },
    )
    .await;
    assert_eq!(points, 3);
}

async fn build(code: i32, status: &str, releases: i64) -> usize {
    let t = world(move |name| if name.starts_with("build.") { Reaction::Exit(code) } else { Reaction::Run }).await;
    let mut n = 0;
    survives_a_crash_anywhere(
        &t.db,
        t.builds().clone(),
        async || {
            n += 1;
            let app = format!("dusk-{n}");
            t.app(&app).await;
            let url = source(&t).await;
            let made =
                t.owner.post(&format!("/apps/{app}/builds"), json!({ "source_blob": { "url": url } })).await.json();
            RunBuild { build: made["id"].as_str().unwrap().parse().unwrap() }
        },
        async |job| {
            let found: String = sqlx::query_scalar("select status from builds where id = $1")
                .bind(job.build)
                .fetch_one(&t.db)
                .await
                .unwrap();
            assert_eq!(found, status);
            let made = "select count(*) from releases r join builds b on b.app_id = r.app_id where b.id = $1";
            assert_eq!(count(&t, made, job.build).await, releases);
            let noted = "select count(*) from events e join builds b on b.app_id = e.app_id
                         where b.id = $1 and e.action in ('release.create', 'build.fail')";
            assert_eq!(count(&t, noted, job.build).await, 1);
            // Meanwhile, dynos of the previous release are started from archives that are stored and removed.
            until("nothing temporary is left", async || match t.leftovers() {
                left if left.is_empty() => Ok(()),
                left => Err(format!("{left:?}")),
            })
            .await;
        },
    )
    .await
}

#[tokio::test]
async fn a_build_that_succeeds() {
    assert_eq!(build(0, "succeeded", 2).await, 9);
}

#[tokio::test]
async fn a_build_that_fails() {
    assert_eq!(build(1, "failed", 1).await, 3);
}

/// A platform without the jobs that its schedules enqueued at startup.
pub async fn idle() -> World {
    let t = World::start().await;
    until("what is begun at the start is done", async || {
        match sqlx::query_scalar::<_, i64>("select count(*) from jobs where state <> 'succeeded'")
            .fetch_one(&t.db)
            .await
        {
            Ok(0) => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
    t.platform.leave_jobs();
    t
}

#[tokio::test]
async fn retention() {
    let t = idle().await;
    let points = survives_a_crash_anywhere(
        &t.db,
        t.platform.clone(),
        async || {
            sqlx::query(
                "insert into jobs (id, kind, subject, params, state, finished_at)
                 values (gen_random_uuid(), 'old', gen_random_uuid(), '{}', 'succeeded', now() - interval '8 days')",
            )
            .execute(&t.db)
            .await
            .unwrap();
            Retain {}
        },
        async |_| {
            let old: i64 =
                sqlx::query_scalar("select count(*) from jobs where kind = 'old'").fetch_one(&t.db).await.unwrap();
            assert_eq!(old, 0);
        },
    )
    .await;
    assert_eq!(points, 33);
}

#[tokio::test]
async fn cleaning_repositories() {
    let t = idle().await;
    let app = t.app("dusk").await.id;
    assert_eq!(t.owner.post("/apps/dusk/samples/node", json!({})).await.status, 201);
    let left = t.data().join("git").join(format!("{app}.git/objects/pack/tmp_pack_left"));
    let points = survives_a_crash_anywhere(
        &t.db,
        t.builds().clone(),
        async || {
            std::fs::write(&left, "left by a push that was interrupted").unwrap();
            Clean {}
        },
        async |_| assert!(!left.exists()),
    )
    .await;
    assert_eq!(points, 3);
}

#[tokio::test]
async fn another_server_that_starts_leaves_the_jobs_of_this_one_alone() {
    leaves_jobs_alone(&["master.key"]).await;
}

#[tokio::test]
async fn so_does_one_with_a_copy_of_the_data_directory() {
    let t = leaves_jobs_alone(&["master.key", "server-id"]).await;
    t.expects("another server has the id of this one");
}

async fn leaves_jobs_alone(files: &[&str]) -> World {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Run);
    t.app("dusk").await;
    let url = source(&t).await;
    let build = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await;
    assert_eq!(build.status, 201, "{build:?}");
    let running = "select state, attempt, crashes, server_id from jobs where kind = 'builds.run'";
    let job = async || {
        let found = sqlx::query_as::<_, (String, i32, i32, Option<Uuid>)>(running).fetch_optional(&t.db).await;
        found.unwrap()
    };
    let expected = Some(("running".to_owned(), 1, 0, Some(t.platform.server_id().get())));
    until("the build runs", async || match job().await {
        now if now == expected => Ok(()),
        now => Err(format!("{now:?}")),
    })
    .await;
    // Each server enqueues one of these when it starts.
    let retained = async |times: i64| {
        let count = "select count(*) from jobs where kind = 'retention.run' and state = 'succeeded'";
        until("retention has run", async || {
            match sqlx::query_scalar::<_, i64>(count).fetch_one(&t.db).await.unwrap() {
                now if now == times => Ok(()),
                now => Err(format!("{now}")),
            }
        })
        .await;
    };
    retained(1).await;
    let other = t.other_server_with(files).await;
    assert_ne!(other.platform().server_id(), t.platform.server_id());
    retained(2).await;
    assert_eq!(job().await, expected);
    t
}
