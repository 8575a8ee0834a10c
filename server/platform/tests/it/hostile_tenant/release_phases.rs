//! Release phases that never end: the delays they may cause, and their leftovers.

use api::releases::{Release, ReleaseStatus};
use dyno::{Driver as _, fake::Reaction};
use serde_json::{Value, json};

use crate::{
    builds::source,
    world::{Actor, World, archive, path, until},
};

/// An app of `who` with a slug that has a release phase; the slug.
async fn prepared(t: &World, who: &Actor, app: &str) -> String {
    prepared_in(t, who, app, None).await
}

async fn prepared_in(t: &World, who: &Actor, app: &str, team: Option<&str>) -> String {
    let made = match team {
        Some(team) => who.post("/teams/apps", json!({ "name": app, "team": team })).await,
        None => who.post("/apps", json!({ "name": app })).await,
    };
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
async fn endless_phases_of_one_owner_do_not_block_others() {
    let t = World::start().await;
    t.driver.react(|spec| if spec.name.starts_with("build.") { Reaction::Exit(0) } else { Reaction::Run });
    for n in 0..8 {
        let app = format!("hog-{n}");
        let slug = prepared(&t, &t.stranger, &app).await;
        for _ in 0..10 {
            release(&t.stranger, &app, &slug).await;
        }
    }
    // No app can have more of them.
    let more = t.stranger.patch("/apps/hog-0/config-vars", json!({ "A": "1" })).await;
    let (status, _, message) = more.error();
    assert_eq!(status, 409);
    assert!(message.contains("10 releases of this app") && message.contains("wharf releases"), "{message}");
    assert_eq!(t.stranger.config_vars_info("hog-0").await.unwrap().len(), 0, "what is refused changes nothing");

    assert_eq!(count(&t, RUNNING).await, 4);
    let mut queued = 0;
    for n in 0..8 {
        let releases = t.stranger.release_list(&format!("hog-{n}"), 20).await.unwrap();
        queued += releases.iter().filter(|release| release.queued).count();
    }
    assert_eq!(queued, 76);
    let others = "select count(*) from jobs where kind = 'releases.run' and state in ('pending', 'running')";
    assert_eq!(count(&t, others).await, 4, "what waits is a row alone");

    // Another user builds, releases and destroys.
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
        let runs = t.driver.status(mine.id.into()).await.unwrap().is_some();
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
        until("it is its turn", async || match t.driver.status(release.id.into()).await.unwrap() {
            Some(_) => Ok(()),
            None => Err(format!("{:?}", phases(&t))),
        })
        .await;
        assert_eq!(phases(&t).len(), n + 1, "one at a time");
        t.driver.exit(release.id.into(), 0);
    }
    t.dynos("dusk", &["web.1 up v4"]).await;
}

#[tokio::test]
async fn a_phase_whose_job_is_lost_continues() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Run);
    let slug = prepared(&t, &t.owner, "dusk").await;
    t.platform.leave_jobs();
    let release = release(&t.owner, "dusk", &slug).await;
    sqlx::query("delete from jobs where kind = 'releases.run'").execute(&t.db).await.unwrap();
    t.platform.look_at_queue();
    until("it has a job again", async || {
        let query = "select count(*) from jobs where kind = 'releases.run' and subject = $1";
        let jobs: i64 = sqlx::query_scalar(query).bind(release.id).fetch_one(&t.db).await.unwrap();
        if jobs == 1 { Ok(()) } else { Err(jobs.to_string()) }
    })
    .await;
    // One whose job was abandoned, because the server repeatedly died, releases its slot.
    t.expects("ended entries without a job");
    sqlx::query("update jobs set state = 'failed' where kind = 'releases.run'").execute(&t.db).await.unwrap();
    t.platform.look_at_queue();
    until("it has failed", async || {
        let now = t.owner.release_info("dusk", &release.id.to_string()).await.unwrap();
        if now.status == ReleaseStatus::Failed { Ok(()) } else { Err(format!("{now:?}")) }
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
async fn a_database_with_many_waiting_jobs_continues_after_the_upgrade() {
    let t = World::start().await;
    t.platform.leave_jobs();
    let slug = prepared(&t, &t.owner, "dusk").await;
    for _ in 0..6 {
        release(&t.owner, "dusk", &slug).await;
    }
    t.platform.stop(false).await;
    // As the previous version left it: each has a job, which waited inside a worker.
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
async fn a_build_whose_release_exceeds_the_limit_fails() {
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

async fn status(who: &Actor, app: &str, release: &Release) -> (ReleaseStatus, Option<String>) {
    let now = who.release_info(app, &release.id.to_string()).await.unwrap();
    (now.status, now.error)
}

async fn fails(who: &Actor, app: &str, release: &Release, why: &str) {
    until("it has failed", async || match status(who, app, release).await {
        (ReleaseStatus::Failed, Some(said)) if said == why => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_phase_that_hangs_is_cancelled_and_the_next_one_begins() {
    let t = World::start().await;
    t.driver.react(|spec| if spec.name == "release.1002" { Reaction::Stubborn } else { Reaction::Run });
    let slug = prepared(&t, &t.owner, "dusk").await;
    let first = release(&t.owner, "dusk", &slug).await;
    let second = release(&t.owner, "dusk", &slug).await;
    let third = release(&t.owner, "dusk", &slug).await;
    until("the first one runs", async || if phases(&t).is_empty() { Err(String::new()) } else { Ok(()) }).await;

    let cancel = format!("/apps/dusk/releases/v{}/actions/cancel", first.version);
    assert_eq!(t.stranger.post(&cancel, json!({})).await.status, 404);
    // The waiting one, and then the running one.
    let why = "cancelled by admin@wharf.localhost";
    for release in [&second, &first] {
        let answer = t.owner.release_cancel("dusk", &release.id.to_string()).await.unwrap();
        assert_eq!((answer.id, answer.error.as_deref()), (release.id, Some(why)));
        fails(&t.owner, "dusk", release, why).await;
    }
    until("the third one runs", async || match phases(&t) {
        now if now == ["release.1002", "release.1004"] => Ok(()),
        now => Err(format!("{now:?}")),
    })
    .await;
    assert!(t.driver.status(first.id.into()).await.unwrap().is_none(), "its dyno is gone");
    t.log_with("dusk", &format!("Release v2 failed: {why}")).await;
    let events = t.owner.get("/apps/dusk/events").await.text();
    for said in ["Cancelled the release phase of v2.", "The release phase of v2 failed: cancelled by admin@"] {
        assert!(events.contains(said), "{said}: {events}");
    }

    // One that has ended cannot be cancelled.
    t.driver.exit(third.id.into(), 0);
    t.dynos("dusk", &["web.1 up v4"]).await;
    let (status, _, message) = t.owner.post("/apps/dusk/releases/v4/actions/cancel", json!({})).await.error();
    assert_eq!(status, 422);
    assert!(message.starts_with("Release v4 does not have a running or waiting release phase"), "{message}");
}

#[tokio::test]
async fn work_of_a_suspended_account_ends_and_that_of_others_continues() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Stubborn);
    // In their own team, in their own app, and in a team with other responsible admins.
    assert_eq!(t.stranger.post("/teams", json!({ "name": "theirs" })).await.status, 201);
    assert_eq!(t.owner.post("/teams", json!({ "name": "ours" })).await.status, 201);
    let member = json!({ "email": "stranger@example.com", "role": "member" });
    assert_eq!(t.owner.ask("PUT", "/teams/ours/members").body(member.to_string()).await.status, 200);
    let mut released = Vec::new();
    let apps = [(&t.stranger, None), (&t.stranger, Some("theirs")), (&t.owner, Some("ours"))];
    for (n, (who, team)) in apps.into_iter().enumerate() {
        let app = format!("dusk-{n}");
        let slug = prepared_in(&t, who, &app, team).await;
        for _ in 0..2 {
            released.push((app.clone(), release(who, &app, &slug).await));
        }
        if team == Some("ours") {
            released.push((app.clone(), release(&t.stranger, &app, &slug).await));
        }
    }
    let url = source(&t).await;
    let build: Value = t.stranger.post("/apps/dusk-0/builds", json!({ "source_blob": { "url": url } })).await.json();
    until("all that can run runs", async || match t.driver.started().len() {
        4 => Ok(()),
        n => Err(format!("{n}: {:?}", phases(&t))),
    })
    .await;

    let suspend = json!({ "suspended": true });
    assert_eq!(t.owner.patch("/users/stranger@example.com", suspend).await.status, 200);
    let why = "cancelled because the account behind it was suspended";
    for (app, release) in released.iter().filter(|(app, release)| app != "dusk-2" || release.version == 4) {
        fails(&t.owner, app, release, why).await;
    }
    until("the build has ended", async || {
        let now = t.owner.build_info("dusk-0", build["id"].as_str().unwrap()).await.unwrap();
        if now.error.as_deref() == Some("Build cancelled") { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    until("only the first release phase of the others runs", async || match t.driver.list().await.unwrap().len() {
        1 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
    for (app, release) in released.iter().filter(|(app, release)| app == "dusk-2" && release.version < 4) {
        assert_eq!(status(&t.owner, app, release).await, (ReleaseStatus::Pending, None));
    }
}

#[tokio::test]
async fn work_begun_during_a_suspension_ends_too() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Stubborn);
    let slug = prepared(&t, &t.stranger, "dusk").await;
    let release = release(&t.stranger, "dusk", &slug).await;
    // As if it had been created by a request that was authorized before.
    let suspended = "update accounts set suspended_at = now() where email = 'stranger@example.com'";
    sqlx::query(suspended).execute(&t.db).await.unwrap();
    t.platform.look_at_queue();
    fails(&t.owner, "dusk", &release, "cancelled because the account behind it was suspended").await;
}

#[tokio::test]
async fn release_phases_that_run_ask_the_database_nothing() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Run);
    for n in 0..3 {
        let app = format!("dusk-{n}");
        let slug = prepared(&t, &t.owner, &app).await;
        release(&t.owner, &app, &slug).await;
    }
    until("they run", async || match phases(&t).len() {
        3 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
    let runs = async || {
        let platform = t.owner.get("/platform").await.json();
        let all = platform["reconcilers"].as_array().unwrap().clone();
        let of = |name: &str| all.iter().find(|r| r["name"] == name).unwrap()["runs"].as_u64().unwrap();
        (of("dynos"), [of("releases"), of("builds")])
    };
    // Runs that were requested before may still complete; from then on, only other work is in progress.
    until("nothing is asked while the dynos are looked at a few times", async || {
        let (began, before) = runs().await;
        until("dynos were looked at a few times", async || match runs().await.0 {
            now if now > began + 2 => Ok(()),
            now => Err(now.to_string()),
        })
        .await;
        match runs().await.1 {
            after if after == before => Ok(()),
            after => Err(format!("{before:?} became {after:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn the_output_of_a_phase_resumes_after_a_restart() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Run);
    let slug = prepared(&t, &t.owner, "dusk").await;
    let release = release(&t.owner, "dusk", &slug).await;
    let run = release.id.into();
    until("it runs", async || t.driver.status(run).await.unwrap().map(drop).ok_or_else(String::new)).await;
    let app = t.owner.app_info("dusk").await.unwrap().id;
    let folder = t.data().join("builds").join(app.to_string());
    let file = folder.join(format!("release-{run}.log"));
    t.driver.say(run, b'o', "first").unwrap();
    until("it is written", async || match std::fs::read_to_string(&file) {
        Ok(text) if text == "first\n" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    t.platform.stop(false).await;
    t.driver.say(run, b'o', "second").unwrap();
    let t = t.again().await;
    until("it goes on", async || match std::fs::read_to_string(&file) {
        Ok(text) if text == "first\nsecond\n" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    t.driver.exit(run, 0);
    t.dynos("dusk", &["web.1 up v2"]).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "first\nsecond\n");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
    let log = t.log_with("dusk", "second").await;
    for line in ["app[release.1002]: first", "app[release.1002]: second"] {
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
}

#[tokio::test]
async fn a_phase_with_truncated_output_continues_and_the_rest_is_deleted() {
    let t = World::start().await;
    t.driver.react(|_| Reaction::Run);
    let slug = prepared(&t, &t.owner, "dusk").await;
    let release = release(&t.owner, "dusk", &slug).await;
    let run = release.id.into();
    until("it runs", async || t.driver.status(run).await.unwrap().map(drop).ok_or_else(String::new)).await;
    let app = t.owner.app_info("dusk").await.unwrap().id;
    let output = t.data().join("builds").join(app.to_string()).join(format!("release-{run}.log"));
    let place = output.with_extension("place");
    t.driver.say(run, b'o', "first").unwrap();
    until("it is written", async || match std::fs::read_to_string(&place) {
        Ok(_) if std::fs::read_to_string(&output).unwrap() == "first\n" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    t.platform.stop(false).await;
    // As if its limit of 64 MB had been reached.
    let noted = std::fs::read_to_string(&place).unwrap();
    let full = noted.replace("\"is_full\":false", "\"is_full\":true");
    assert_ne!(noted, full);
    std::fs::write(&place, full).unwrap();
    let t = t.again().await;
    let noise = "x".repeat(100_000);
    for _ in 0..50 {
        t.driver.say(run, b'o', &noise).unwrap();
    }
    until("all but the newest megabyte is deleted", async || {
        match std::fs::read_dir(t.driver.spool(run)).unwrap().count() {
            1 => Ok(()),
            segments => Err(segments.to_string()),
        }
    })
    .await;
    t.driver.say(run, b'e', "why it failed").unwrap();
    t.driver.exit(run, 1);
    until("it has failed", async || match status(&t.owner, "dusk", &release).await {
        (ReleaseStatus::Failed, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "first\n", "nothing is added behind the cut");
    // The end is in the app's log.
    t.log_with("dusk", "app[release.1002]: why it failed").await;
}
