//! Release phases that never end: what they hold up, and what is left of them.

use api::releases::Release;
use dyno::{Driver as _, fake::Reaction};
use serde_json::{Value, json};

use crate::{
    builds::source,
    world::{Actor, World, archive, path, until},
};

/// An app of `who` with a slug that has a release phase; the slug.
async fn prepared(t: &World, who: &Actor, app: &str) -> String {
    let made = who.post("/apps", json!({ "name": app })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let types = json!({ "process_types": { "web": "./server", "release": "sleep 3600" } });
    let slug = who.post(&format!("/apps/{app}/slugs"), types).await.json();
    let put = path(slug["blob"]["url"].as_str().unwrap());
    assert_eq!(t.anonymous.ask("PUT", &put).body(archive("./app/server", "#!/bin/sh\n")).await.status, 200);
    slug["id"].as_str().unwrap().to_owned()
}

async fn release(who: &Actor, app: &str, slug: &str) -> Release {
    let made = who.post(&format!("/apps/{app}/releases"), json!({ "slug": slug })).await;
    assert_eq!(made.status, 201, "{made:?}");
    serde_json::from_value(made.json()).unwrap()
}

/// The versions whose release phase was ever started, in order.
fn phases(t: &World) -> Vec<String> {
    let started = t.driver.started();
    started.into_iter().map(|spec| spec.name).filter(|name| name.starts_with("release.")).collect()
}

async fn count(t: &World, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&t.db).await.unwrap()
}

const RUNNING: &str = "select count(*) from releases where status = 'pending' and started_at is not null";

#[tokio::test]
async fn one_owners_endless_phases_hold_up_nobody() {
    let t = World::start().await;
    t.driver.react(|spec| if spec.name.starts_with("build.") { Reaction::Exit(0) } else { Reaction::Run });
    for n in 0..8 {
        let app = format!("hog-{n}");
        let slug = prepared(&t, &t.stranger, &app).await;
        for _ in 0..10 {
            release(&t.stranger, &app, &slug).await;
        }
    }
    // And each makes no more.
    let more = t.stranger.patch("/apps/hog-0/config-vars", json!({ "A": "1" })).await;
    let (status, _, message) = more.error();
    assert_eq!(status, 409);
    assert!(message.contains("10 releases of this app") && message.contains("wharf releases"), "{message}");
    assert_eq!(t.stranger.config_vars_info("hog-0").await.unwrap().len(), 0, "what is refused changes nothing");

    assert_eq!(count(&t, RUNNING).await, 4);
    let others = "select count(*) from jobs where kind = 'releases.run' and state in ('pending', 'running')";
    assert_eq!(count(&t, others).await, 4, "what waits is a row alone");

    // Somebody else builds, releases and destroys.
    t.app("dusk").await;
    let url = source(&t).await;
    let body = json!({ "source_blob": { "url": url } });
    let build = t.owner.post("/apps/dusk/builds", body).await.json();
    let slug = prepared(&t, &t.owner, "dawn").await;
    let mine = release(&t.owner, "dawn", &slug).await;
    t.app("noon").await;
    t.owner.app_delete("noon").await.unwrap();
    until("the build, the release phase and the end of an app come through", async || {
        let built = t.owner.build_info("dusk", build["id"].as_str().unwrap()).await.unwrap().status;
        let runs = t.driver.status(mine.id.get()).await.unwrap().is_some();
        let gone = count(&t, "select count(*) from apps where deleted_at is not null").await == 0;
        match built == api::builds::BuildStatus::Succeeded && runs && gone {
            true => Ok(()),
            false => Err(format!("{built:?} {runs} {gone}")),
        }
    })
    .await;
    assert_eq!(count(&t, RUNNING).await, 5);
}

#[tokio::test]
async fn the_next_phase_of_an_app_begins_when_the_one_before_ends() {
    let t = World::start().await;
    let slug = prepared(&t, &t.owner, "dusk").await;
    let mut releases = Vec::new();
    for _ in 0..3 {
        releases.push(release(&t.owner, "dusk", &slug).await);
    }
    for (n, release) in releases.iter().enumerate() {
        until("it is its turn", async || match t.driver.status(release.id.get()).await.unwrap() {
            Some(_) => Ok(()),
            None => Err(format!("{:?}", phases(&t))),
        })
        .await;
        assert_eq!(phases(&t).len(), n + 1, "one at a time");
        t.driver.exit(release.id.get(), 0);
    }
    t.dynos("dusk", &["web.1 up v4"]).await;
}

#[tokio::test]
async fn a_phase_whose_job_is_lost_goes_on() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Run);
    let slug = prepared(&t, &t.owner, "dusk").await;
    t.platform.leave_jobs();
    let release = release(&t.owner, "dusk", &slug).await;
    sqlx::query("delete from jobs where kind = 'releases.run'").execute(&t.db).await.unwrap();
    until("it has a job again", async || {
        let query = "select count(*) from jobs where kind = 'releases.run' and subject = $1";
        let jobs: i64 = sqlx::query_scalar(query).bind(release.id.get()).fetch_one(&t.db).await.unwrap();
        if jobs == 1 { Ok(()) } else { Err(jobs.to_string()) }
    })
    .await;
    // One whose job was let lie, because the server always ended, gives its place back.
    t.expects("gave up what no job goes on with");
    sqlx::query("update jobs set state = 'failed' where kind = 'releases.run'").execute(&t.db).await.unwrap();
    until("it has failed", async || {
        let now = t.owner.release_info("dusk", &release.id.to_string()).await.unwrap();
        if now.status == api::releases::ReleaseStatus::Failed { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
}

#[tokio::test]
async fn the_phases_of_a_destroyed_app_end_at_once() {
    let t = World::start().await;
    t.driver.react(|spec| if spec.name.starts_with("release.") { Reaction::Stubborn } else { Reaction::Run });
    let slug = prepared(&t, &t.owner, "dusk").await;
    for _ in 0..5 {
        release(&t.owner, "dusk", &slug).await;
    }
    until("the first one runs", async || if phases(&t).is_empty() { Err(String::new()) } else { Ok(()) }).await;
    t.owner.app_delete("dusk").await.unwrap();
    until("nothing is left", async || {
        let left = (t.driver.list().await.unwrap().len(), count(&t, "select count(*) from releases").await);
        if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(phases(&t), ["release.1002"], "the others never began");
}

#[tokio::test]
async fn a_database_in_which_many_wait_goes_on_after_the_upgrade() {
    let t = World::start().await;
    t.platform.leave_jobs();
    let slug = prepared(&t, &t.owner, "dusk").await;
    for _ in 0..6 {
        release(&t.owner, "dusk", &slug).await;
    }
    t.platform.stop(false).await;
    // As the server before left it: each has a job, which waited inside a worker.
    for old in [
        "alter table releases drop started_at, drop cancelled_at",
        "delete from jobs where kind = 'releases.run'",
        "insert into jobs (id, kind, subject, params, state, attempt, lease, lease_until)
         select gen_random_uuid(), 'releases.run', id, jsonb_build_object('release', id), 'running', 1,
             gen_random_uuid(), now() from releases where status = 'pending'",
    ] {
        sqlx::query(old).execute(&t.db).await.unwrap();
    }
    let upgrade = include_str!("../../../../../migrations/0021_releases_queue.sql");
    sqlx::raw_sql(upgrade).execute(&t.db).await.unwrap();
    assert_eq!(count(&t, RUNNING).await, 1);
    t.driver.react(|spec| if spec.name.starts_with("release.") { Reaction::Exit(0) } else { Reaction::Run });
    let t = t.again().await;
    t.dynos("dusk", &["web.1 up v7"]).await;
    let in_order: Vec<_> = (2..=7).map(|version| format!("release.{}", 1000 + version)).collect();
    assert_eq!(phases(&t), in_order);
}

#[tokio::test]
async fn a_build_that_would_make_one_too_many_says_so() {
    let t = World::start().await;
    t.driver.react(|spec| if spec.name.starts_with("build.") { Reaction::Exit(0) } else { Reaction::Run });
    let slug = prepared(&t, &t.owner, "dusk").await;
    for _ in 0..10 {
        release(&t.owner, "dusk", &slug).await;
    }
    let url = source(&t).await;
    let build: Value = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await.json();
    let ended = until("the build has ended", async || {
        let now = t.owner.build_info("dusk", build["id"].as_str().unwrap()).await.unwrap();
        if now.status == api::builds::BuildStatus::Pending { Err(format!("{now:?}")) } else { Ok(now) }
    })
    .await;
    assert!(ended.error.as_deref().unwrap().starts_with("10 releases of this app"), "{ended:?}");
}
