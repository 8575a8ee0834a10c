//! Attacks on the audit log by somebody with write access to the database, and information that it might disclose.

use serde_json::json;
use sqlx::Row as _;

use crate::{
    permissions::{app_routes, filled, routes},
    world::{World, account, until},
};

/// Routes that change nothing although their method is not GET.
const READS: [&str; 2] = ["POST /filters/apps", "POST /apps/dusk/log-sessions"];

async fn anchored(t: &World) -> i64 {
    until("the anchor knows the newest event", async || {
        let verdict = t.owner.event_verify().await.unwrap();
        let seq = verdict.anchor.as_ref().map_or(-1, |anchor| anchor.seq);
        if seq == verdict.events { Ok(seq) } else { Err(format!("{verdict:?}")) }
    })
    .await
}

/// Restores the seal of event 1, and removes all later events.
async fn roll_back(t: &World, seq: i64, seal: &[u8]) {
    let mut tx = t.db.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query("delete from events where seq > $1").bind(seq).execute(&mut *tx).await.unwrap();
    sqlx::query("update event_seals set seq = $1, seal = $2").bind(seq).bind(seal).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn seal(t: &World) -> Vec<u8> {
    sqlx::query("select seal from event_seals").fetch_one(&t.db).await.unwrap().get(0)
}

#[tokio::test]
async fn an_older_state_of_the_log_is_found() {
    let t = World::start().await;
    t.expects("the audit log was tampered with");
    t.app("dusk").await;
    let old = seal(&t).await;
    for n in 0..3 {
        t.owner.patch("/apps/dusk/config-vars", json!({ "A": n })).await;
    }
    assert_eq!(anchored(&t).await, 4);
    roll_back(&t, 1, &old).await;
    let verdict = t.owner.event_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken_at), (1, Some(2)), "{verdict:?}");
    for part in ["Event 2 is missing", "recorded event 4", "restored from a backup", "audit-anchor"] {
        assert!(verdict.message.contains(part), "{part}: {verdict:?}");
    }
    // Neither later events, however many, nor a restart of the platform hide it.
    for n in 0..5 {
        t.owner.patch("/apps/dusk/config-vars", json!({ "B": n })).await;
    }
    let verdict = t.owner.event_verify().await.unwrap();
    assert_eq!(verdict.broken_at, Some(4), "{verdict:?}");
    assert!(verdict.message.contains("Event 4 is not the one"), "{verdict:?}");
    t.platform.stop(false).await;
    let t = t.again().await;
    assert_eq!(t.owner.event_verify().await.unwrap().broken_at, Some(4));
    // After a restore the operator creates a new anchor, which is recorded in the log.
    std::fs::remove_file(t.data().join("audit-anchor")).unwrap();
    let seq = anchored(&t).await;
    let verdict = t.owner.event_verify().await.unwrap();
    assert!(verdict.broken_at.is_none() && verdict.message.contains(&format!("created at event {seq}")), "{verdict:?}");
    assert_eq!(t.owner.get("/events?action=event.anchor").await.json()[0]["seq"], seq);
}

#[tokio::test]
async fn an_anchor_that_is_behind_is_no_alarm() {
    let t = World::start().await;
    t.app("dusk").await;
    anchored(&t).await;
    let file = t.data().join("audit-anchor");
    let behind = std::fs::read(&file).unwrap();
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": 1 })).await;
    anchored(&t).await;
    // As after a kill between the commit and the update of the file.
    t.platform.stop(false).await;
    std::fs::write(&file, behind).unwrap();
    let t = t.again().await;
    let verdict = t.owner.event_verify().await.unwrap();
    assert_eq!((verdict.broken_at, verdict.message.as_str()), (None, "All 2 events are unchanged."));
    assert_eq!(anchored(&t).await, 2);
}

#[tokio::test]
async fn a_foreign_anchor_is_reported() {
    let t = World::start().await;
    t.expects("the audit log was tampered with");
    t.app("dusk").await;
    anchored(&t).await;
    let file = t.data().join("audit-anchor");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"seq\":1", "\"seq\":0")).unwrap();
    let verdict = t.owner.event_verify().await.unwrap();
    assert!(verdict.message.contains("it was not written by this platform"), "{verdict:?}");
    std::fs::write(&file, "nonsense").unwrap();
    assert!(t.owner.event_verify().await.unwrap().message.contains("is unusable"));
}

#[tokio::test]
async fn whoever_sees_an_app_does_not_see_where_others_are() {
    let t = World::start().await;
    t.app("dusk").await;
    let bob = t.actor(&account(&t.db, "bob@example.com").await);
    t.owner.post("/apps/dusk/collaborators", json!({ "user": "bob@example.com", "permissions": ["manage"] })).await;
    let own = bob.ask("PATCH", "/apps/dusk").header("x-forwarded-for", "192.0.2.8");
    own.body(json!({ "maintenance": true }).to_string()).await;
    let own = t.owner.ask("PATCH", "/apps/dusk").header("x-forwarded-for", "192.0.2.7");
    own.body(json!({ "maintenance": false }).to_string()).await;
    let events = bob.event_list("dusk", 200).await.unwrap();
    assert!(events.len() > 2);
    for event in events {
        let is_own = event.actor == "bob@example.com";
        assert_eq!((event.credential.is_some(), event.hash.is_some()), (is_own, is_own), "{event:?}");
        assert_eq!(event.address.as_deref(), is_own.then_some("192.0.2.8"), "{event:?}");
    }
    let all = t.owner.event_list("dusk", 200).await.unwrap();
    assert!(all.iter().any(|e| e.address.as_deref() == Some("192.0.2.8")), "{all:?}");
}

#[tokio::test]
async fn every_change_is_recorded_with_actor_and_credential() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    account(&t.db, "new@example.com").await;
    let body = json!({
        "url": "https://example.com", "updates": [], "source_blob": { "url": "https://example.com/a.tgz" },
        "email": "new@example.com", "role": "viewer", "user": "new@example.com", "permissions": ["view"],
        "enabled": true, "who": "administrators", "redirect_uri": "https://example.com", "maintenance": true,
        "process_types": {}, "type": "web", "app": "dusk", "recipient": "stranger@example.com", "A": "1",
        "password": "correct horse battery", "quantity": 1,
    });
    let own = [routes("api_routes"), routes("team_routes")].concat().into_iter().map(|route| filled(&route, "dusk"));
    // Routes that end the access of the others come last.
    let mut all: Vec<String> = own.chain(app_routes()).filter(|route| !route.starts_with("GET ")).collect();
    all.sort_by_key(|route| (route == "DELETE /apps/dusk", route == "DELETE /teams/acme", route.starts_with("DELETE")));
    let newest = async || store::events::event_tip(&t.db).await.unwrap().map_or(0, |(seq, _)| seq);
    let (mut changed, mut silent) = (Vec::new(), Vec::new());
    for route in all {
        let ((method, path), before) = (route.split_once(' ').unwrap(), newest().await);
        let said = match path.rsplit('/').next() {
            Some("dusk") if path.starts_with("/teams/") => json!({ "owner": "acme" }),
            Some("config-vars") => json!({ "A": "1" }),
            Some("account" | "acme") => json!({ "name": "ada" }),
            Some("mail-server") => json!({ "host": "192.0.2.9", "tls": "none", "sender": "ops@acme.test" }),
            _ => body.clone(),
        };
        let answer = t.owner.ask(method, path).header("x-forwarded-for", "192.0.2.7").body(said.to_string()).await;
        if !(200..300).contains(&answer.status) || READS.contains(&route.as_str()) {
            continue;
        }
        let events = t.owner.get("/events?max=50").await.json();
        let is_known = |e: &serde_json::Value| e["subject_kind"].as_str().and_then(api::subjects::SubjectKind::parse);
        assert!(events.as_array().unwrap().iter().all(|e| is_known(e).is_some()), "{route}: {events}");
        let new = events.as_array().unwrap().iter().filter(|e| e["seq"].as_i64() > Some(before));
        let told = new.filter(|e| e["credential"].is_string() && e["address"] == "192.0.2.7").count();
        (if told > 0 { &mut changed } else { &mut silent }).push(route);
    }
    assert!(silent.is_empty(), "{silent:#?}");
    assert!(changed.len() > 18, "{changed:#?}");
}
