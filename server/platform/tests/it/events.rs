//! Events: every change is recorded, and modified records are detected.

use api::ids::AppId;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::world::World;

#[tokio::test]
async fn changes_are_recorded_with_actor_and_credential() {
    let t = World::start().await;
    t.app("dusk").await;
    let answer = t.owner.ask("PATCH", "/apps/dusk").header("x-forwarded-for", "6.6.6.6, 192.0.2.7");
    answer.body(json!({ "maintenance": true }).to_string()).await;
    let events = t.owner.event_list("dusk", 200).await.unwrap();
    let found: Vec<_> = events.iter().map(|e| (e.action.as_str(), e.summary.as_str())).collect();
    assert_eq!(found, [("app.update", "Maintenance mode enabled."), ("app.create", "Created the app dusk.")]);
    let me = t.owner.account_info().await.unwrap();
    assert_eq!((events[0].actor.as_str(), events[0].address.as_deref()), (me.email.as_str(), Some("192.0.2.7")));
    assert!(events[0].credential.as_ref().unwrap().starts_with("token "));
    let app = t.owner.app_info("dusk").await.unwrap().id;
    let subject = |e: &api::platform::Event| (e.subject_kind.clone(), e.subject_id, e.app);
    assert!(events.iter().all(|e| subject(e) == (Some("app".into()), Some(app.get()), Some(app))), "{events:?}");

    let all = t.owner.get("/events?max=1").await.json();
    let seq = all[0]["seq"].as_i64().unwrap();
    let older = t.owner.get(&format!("/events?max=1&before={seq}")).await.json();
    assert_eq!(older[0]["seq"], seq - 1);
    assert_eq!(t.owner.get("/events?max=few").await.error().0, 422);
    for path in ["/events", "/events/verify", "/platform"] {
        assert_eq!(t.stranger.get(path).await.error().1, "forbidden", "{path}");
    }
}

/// Concurrent changes of the same account, team and app: a change that waits for the rows of another must not hold the
/// lock of the log, for which the other waits.
#[tokio::test]
async fn changes_that_collide_are_made_one_after_the_other() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.post("/teams", json!({ "name": "crew" })).await;
    t.owner.post("/teams", json!({ "name": "crowd" })).await;
    for round in 0..25 {
        let email = format!("friend{round}@acme.test");
        let (member, user) = (json!({ "email": email, "role": "viewer" }), json!({ "user": email }));
        let invitation = format!("/teams/crew/invitations/{email}");
        let asked = [
            ("PUT", "/teams/crew/invitations".to_owned(), member.clone()),
            ("PUT", "/teams/crowd/members".to_owned(), member.clone()),
            ("POST", "/apps/dusk/collaborators".to_owned(), user.clone()),
        ];
        for (method, path, body) in &asked {
            let done = t.owner.ask(method, path).body(body.to_string()).await;
            assert!(done.status < 300, "{method} {path}: {done:?}");
        }
        let colliding = [
            ("DELETE", invitation.clone(), json!({})),
            ("DELETE", format!("/teams/crowd/members/{email}"), json!({})),
            ("DELETE", format!("/apps/dusk/collaborators/{email}"), json!({})),
        ];
        let all = asked.iter().chain(&colliding).chain(&asked).chain(&colliding);
        let all = all.map(|(method, path, body)| t.owner.ask(method, path).body(body.to_string()).into_future());
        for answer in futures::future::join_all(all).await {
            assert!(answer.status < 500, "round {round}: {answer:?} {:?}", t.warnings());
        }
    }
    assert_eq!(t.owner.event_verify().await.unwrap().broken_at, None);
}

#[tokio::test]
async fn events_are_looked_for_and_exported() {
    let t = World::start().await;
    t.app("dusk").await;
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": 1 })).await;
    t.owner.delete("/apps/dusk").await;
    let find = async |query: &str| {
        let list = t.owner.get(&format!("/events?{query}")).await.json();
        list.as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find("actor=STRANGER@").await, ["app.create"]);
    assert_eq!(find("action=app.create&actor=&q=").await, ["app.create", "app.create"]);
    assert!(find("app=dusk").await.contains(&"config_vars.update".to_owned()));
    assert!(find("since=2000-01-01&until=2000-01-01").await.is_empty());
    assert_eq!(find("since=2000-01-01T00:00:00Z&max=1").await.len(), 1);
    assert!(find("q=nothing+like+this").await.is_empty());
    let team = t.owner.post("/teams", json!({ "name": "crew" })).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(find("subject_kind=team&subject_id=").await, ["team.create"]);
    assert_eq!(find(&format!("subject_id={team}&subject_kind=")).await, ["team.create"]);
    assert!(find(&format!("subject_id={team}&subject_kind=app")).await.is_empty());
    assert_eq!(find("subject_kind=app&action=app.create").await, ["app.create", "app.create"]);
    let (status, _, message) = t.owner.get("/events?subject_kind=crew").await.error();
    assert_eq!((status, message.contains("identity_provider, job")), (422, true), "{message}");
    assert_eq!(t.owner.get("/events?subject_id=crew").await.error().0, 422);
    let export = t.owner.get(&format!("/events/export?subject_id={team}")).await;
    assert_eq!(export.text().lines().count(), 1);
    assert_eq!(t.owner.get("/events?since=yesterday").await.error().0, 422);
    let export = t.owner.get("/events/export?action=app.").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    assert!(export.header("content-disposition").contains("audit.jsonl"));
    let lines: Vec<serde_json::Value> = export.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), find("action=app.").await.len());
    assert_eq!(lines[0]["hash"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn who_guesses_tokens_is_shut_out_and_others_there_are_not() {
    let t = World::start().await;
    t.expects("tokens from 192.0.2.9: refused");
    let ask = async |token: &str| {
        let ask = t.anonymous.ask("GET", "/account").header("x-forwarded-for", "192.0.2.9");
        ask.header("authorization", &format!("Bearer {token}")).await.status
    };
    let (own, other) = (t.owner.token.clone().unwrap(), t.stranger.token.clone().unwrap());
    assert_eq!(ask(&own).await, 200);
    for n in 0..31 {
        assert_eq!(ask(&format!("guess-{n}")).await, 401);
    }
    assert_eq!(ask("guess").await, 429);
    // Valid credentials continue to work, used from there before or not: others at the same address cannot lock them
    // out.
    assert_eq!((ask(&own).await, ask(&other).await), (200, 200));
    assert_eq!(t.stranger.get("/account").await.status, 200);
    let refused = t.owner.get("/events?action=token.refuse").await.json();
    assert_eq!((refused.as_array().unwrap().len(), refused[0]["address"].as_str()), (1, Some("192.0.2.9")));
}

/// Modifies the log as the database's owner can, with triggers disabled. Otherwise the change is rejected.
async fn behind_its_back(t: &World, change: &str) {
    let refused = sqlx::query(sqlx::AssertSqlSafe(change.to_owned())).execute(&t.db).await.unwrap_err();
    assert!(refused.to_string().contains("can only be added to"), "{refused}");
    let mut tx = t.db.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(change.to_owned())).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn verdict(t: &World) -> (Option<i64>, String) {
    let verdict = t.owner.get("/events/verify").await.json();
    (verdict["broken_at"].as_i64(), verdict["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn tampering_is_detected() {
    for (change, at, what) in [
        ("update events set summary = 'x' where seq = 2", 2, "was changed"),
        ("update events set address = null, data = '{}' where seq = 4", 4, "was changed"),
        ("update events set subject_kind = 'team' where seq = 3", 3, "was changed"),
        ("update events set subject_id = gen_random_uuid() where seq = 3", 3, "was changed"),
        ("update events set subject_kind = null, subject_id = null where seq = 3", 3, "was changed"),
        ("update events set version = 1 where seq = 3", 3, "was changed"),
        ("update events set version = 3 where seq = 3", 3, "was changed"),
        ("delete from events where seq = 2", 2, "is missing"),
        ("delete from events where seq = 1", 1, "is missing"),
        ("delete from events where seq = 4", 4, "is missing"),
        ("delete from events where seq > 2", 3, "is missing"),
        ("truncate events", 1, "is missing"),
        // A modified row with a matching hash breaks the link of the next one.
        ("update events set actor = 'x', hash = sha256('x') where seq = 3", 3, "was changed"),
    ] {
        let t = World::start().await;
        t.app("dusk").await;
        for n in 0..3 {
            t.owner.patch("/apps/dusk/config-vars", json!({ "A": n })).await;
        }
        assert_eq!(verdict(&t).await, (None, "All 4 events are unchanged.".into()));
        behind_its_back(&t, change).await;
        let found = (Some(at), format!("Event {at} {what}: the audit log was tampered with from this event on."));
        assert_eq!(verdict(&t).await, found, "{change}");
        // Later events do not hide it.
        t.expects("the audit log was tampered with");
        t.owner.patch("/apps/dusk/config-vars", json!({ "B": 1 })).await;
        assert_eq!(verdict(&t).await.0, Some(at), "{change}");
    }
}

/// The hash of an event as computed by the previous version.
fn old_hash(previous: &[u8], seq: i64, app: AppId) -> Vec<u8> {
    let content = json!([seq, 0, null, "ada", null, null, "app.update", "dusk", app, "Did.", {}]).to_string();
    Sha256::new().chain_update(previous).chain_update(content).finalize().to_vec()
}

#[tokio::test]
async fn the_log_of_the_previous_version_continues() {
    let t = World::start().await;
    t.expects("the audit log was tampered with");
    t.app("dusk").await;
    let app = t.owner.app_info("dusk").await.unwrap().id;
    behind_its_back(&t, "delete from events").await;
    let mut previous = vec![0; 32];
    // An event that the migration has completed, and one that the previous version has written since.
    for (seq, kind) in [(1, Some("app")), (2, None)] {
        let hash = old_hash(&previous, seq, app);
        let insert = "insert into events (seq, at, actor, action, subject, app_id, subject_kind, subject_id, summary,
                data, previous, hash)
            values ($1, 'epoch', 'ada', 'app.update', 'dusk', $2, $3, $4, 'Did.', '{}', $5, $6)";
        let insert = sqlx::query(insert).bind(seq).bind(app).bind(kind).bind(kind.map(|_| app));
        insert.bind(&previous).bind(&hash).execute(&t.db).await.unwrap();
        previous = hash;
    }
    // It is sealed at the next start.
    sqlx::query("update event_seals set seq = 2, seal = null").execute(&t.db).await.unwrap();
    t.platform.stop(false).await;
    std::fs::remove_file(t.data().join("audit-anchor")).unwrap();
    let t = t.again().await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": 1 })).await;
    assert_eq!(verdict(&t).await.0, None, "{:?}", verdict(&t).await);
    for (seq, change, back) in [
        (1, "subject_kind = 'team'", "subject_kind = 'app'"),
        (1, "subject_id = gen_random_uuid()", "subject_id = app_id"),
        (1, "version = 2", "version = 1"),
        (2, "subject_kind = 'team'", "subject_kind = null"),
        (2, "subject_id = app_id", "subject_id = null"),
    ] {
        behind_its_back(&t, &format!("update events set {change} where seq = {seq}")).await;
        assert_eq!(verdict(&t).await.0, Some(seq), "{change}");
        behind_its_back(&t, &format!("update events set {back} where seq = {seq}")).await;
    }
    assert_eq!(verdict(&t).await.0, None);
}

#[tokio::test]
async fn a_rewritten_log_is_detected() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": 1 })).await;
    // The complete log of another platform is consistent, but this platform has not sealed it.
    let other = World::start().await;
    other.app("dawn").await;
    other.owner.patch("/apps/dawn/config-vars", json!({ "A": 1 })).await;
    let rows = "select coalesce(json_agg(e), '[]')::text from events e";
    let rows: String = sqlx::query_scalar(rows).fetch_one(&other.db).await.unwrap();
    behind_its_back(&t, "delete from events").await;
    let insert = "insert into events select * from json_populate_recordset(null::events, $1::json)";
    sqlx::query(insert).bind(&rows).execute(&t.db).await.unwrap();
    let found = "Event 2 does not match its hash: the audit log was tampered with from this event on.";
    assert_eq!(verdict(&t).await, (Some(2), found.into()));
    // The world that was created last receives the log lines of both.
    other.expects("the audit log was tampered with");
    t.owner.patch("/apps/dusk/config-vars", json!({ "B": 1 })).await;
    assert_eq!(verdict(&t).await.0, Some(3));
}

#[tokio::test]
async fn the_platform_tells_how_it_is() {
    let t = World::start().await;
    let info = crate::world::until("the router has a table", async || {
        let info = t.owner.platform_info().await.unwrap();
        // Jobs of schedules begin at startup.
        if info.reconcilers.iter().all(|r| r.runs > 0) && info.jobs.is_empty() {
            Ok(info)
        } else {
            Err(format!("{info:?}"))
        }
    })
    .await;
    let names: Vec<_> = info.reconcilers.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["dynos", "releases", "slugs", "strays", "one-offs", "builds", "log retention"]);
    assert!(info.checks.iter().any(|c| c.name == "Router" && c.ok), "{:?}", info.checks);
    assert_eq!(info.jobs, []);
    assert!(info.disk.total > info.disk.free && info.disk.free > 0);
}
