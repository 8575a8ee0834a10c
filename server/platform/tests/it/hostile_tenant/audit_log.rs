//! Attacks on the audit log by whoever can write in the database, and what it tells to whom.

use serde_json::json;
use sqlx::Row as _;

use crate::world::{World, account, until};

async fn anchored(t: &World) -> i64 {
    until("the anchor knows the newest event", async || {
        let verdict = t.owner.event_verify().await.unwrap();
        let seq = verdict.anchor.as_ref().map_or(-1, |anchor| anchor.seq);
        if seq == verdict.events { Ok(seq) } else { Err(format!("{verdict:?}")) }
    })
    .await
}

/// Puts the seal of event 1 back, and removes what came after.
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
    for part in ["Event 2 is missing", "has known event 4", "restored from a backup", "audit-anchor"] {
        assert!(verdict.message.contains(part), "{part}: {verdict:?}");
    }
    // What is written later does not cover it up, however much it is, and no start of the platform does.
    for n in 0..5 {
        t.owner.patch("/apps/dusk/config-vars", json!({ "B": n })).await;
    }
    let verdict = t.owner.event_verify().await.unwrap();
    assert_eq!(verdict.broken_at, Some(4), "{verdict:?}");
    assert!(verdict.message.contains("Event 4 is not the one"), "{verdict:?}");
    t.platform.stop(false).await;
    let t = t.again().await;
    assert_eq!(t.owner.event_verify().await.unwrap().broken_at, Some(4));
    // After a restore the operator begins a new one, which the log remembers.
    std::fs::remove_file(t.data().join("audit-anchor")).unwrap();
    let seq = anchored(&t).await;
    let verdict = t.owner.event_verify().await.unwrap();
    assert!(verdict.broken_at.is_none() && verdict.message.contains(&format!("begun with event {seq}")), "{verdict:?}");
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
    // As after a kill between the commit and the file.
    t.platform.stop(false).await;
    std::fs::write(&file, behind).unwrap();
    let t = t.again().await;
    let verdict = t.owner.event_verify().await.unwrap();
    assert_eq!((verdict.broken_at, verdict.message.as_str()), (None, "All 2 events are as they were written."));
    assert_eq!(anchored(&t).await, 2);
}

#[tokio::test]
async fn an_anchor_that_the_platform_did_not_write_is_told() {
    let t = World::start().await;
    t.expects("the audit log was tampered with");
    t.app("dusk").await;
    anchored(&t).await;
    let file = t.data().join("audit-anchor");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"seq\":1", "\"seq\":0")).unwrap();
    let verdict = t.owner.event_verify().await.unwrap();
    assert!(verdict.message.contains("this platform has not written it"), "{verdict:?}");
    std::fs::write(&file, "nonsense").unwrap();
    assert!(t.owner.event_verify().await.unwrap().message.contains("is of no use"));
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
