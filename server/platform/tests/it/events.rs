//! Events: every change is noted, and what is noted cannot be changed unseen.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn changes_are_noted_with_who_and_with_what() {
    let t = World::start().await;
    t.app("dusk").await;
    let answer = t.owner.ask("PATCH", "/apps/dusk").header("x-forwarded-for", "6.6.6.6, 192.0.2.7");
    answer.body(json!({ "maintenance": true }).to_string()).await;
    let events = t.owner.event_list("dusk").await.unwrap();
    let found: Vec<_> = events.iter().map(|e| (e.action.as_str(), e.summary.as_str())).collect();
    assert_eq!(found, [("app.update", "Maintenance mode enabled."), ("app.create", "Created the app dusk.")]);
    let me = t.owner.account_info().await.unwrap();
    assert_eq!((events[0].actor.as_str(), events[0].address.as_deref()), (me.email.as_str(), Some("192.0.2.7")));
    assert!(events[0].credential.as_ref().unwrap().starts_with("token "));

    let all = t.owner.get("/events?max=1").await.json();
    let seq = all[0]["seq"].as_i64().unwrap();
    let older = t.owner.get(&format!("/events?max=1&before={seq}")).await.json();
    assert_eq!(older[0]["seq"], seq - 1);
    assert_eq!(t.owner.get("/events?max=few").await.error().0, 422);
    for path in ["/events", "/events/verify", "/platform"] {
        assert_eq!(t.stranger.get(path).await.error().1, "forbidden", "{path}");
    }
}

#[tokio::test]
async fn what_was_tampered_with_is_found() {
    let t = World::start().await;
    t.app("dusk").await;
    for n in 0..3 {
        t.owner.patch("/apps/dusk/config-vars", json!({ "A": n })).await;
    }
    let verify = async || t.owner.get("/events/verify").await.json();
    assert_eq!(
        verify().await,
        json!({ "events": 4, "broken_at": null, "message": "All 4 events are as they were written." })
    );
    for (change, undo, at, what) in [
        (
            "update events set summary = 'x' where seq = 2",
            "update events set summary = $1 where seq = 2",
            2,
            "was changed",
        ),
        (
            "update events set seq = 99 where seq = 3",
            "update events set seq = 3 where seq = 99 and $1 <> ''",
            3,
            "is missing",
        ),
    ] {
        let summary: String =
            sqlx::query_scalar("select summary from events where seq = 2").fetch_one(&t.db).await.unwrap();
        sqlx::query(change).execute(&t.db).await.unwrap();
        let verdict = verify().await;
        assert_eq!(verdict["broken_at"], at);
        assert_eq!(verdict["message"], format!("Event {at} {what}: the audit log was tampered with from there on."));
        sqlx::query(undo).bind(summary).execute(&t.db).await.unwrap();
        assert_eq!(verify().await["broken_at"], json!(null));
    }
    // A changed row with a hash of its own breaks the next.
    sqlx::query("update events set actor = 'x', hash = sha256('x') where seq = 3").execute(&t.db).await.unwrap();
    assert_eq!(verify().await["broken_at"], 3);
}

#[tokio::test]
async fn the_platform_tells_how_it_is() {
    let t = World::start().await;
    let info = crate::world::until("the router has a table", async || {
        let info = t.owner.platform_info().await.unwrap();
        if info.reconcilers.iter().all(|r| r.runs > 0) { Ok(info) } else { Err(format!("{info:?}")) }
    })
    .await;
    let names: Vec<_> = info.reconcilers.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["dynos", "retention"]);
    assert!(info.checks.iter().any(|c| c.name == "Router" && c.ok), "{:?}", info.checks);
    assert_eq!(info.jobs, []);
    assert!(info.disk.total > info.disk.free && info.disk.free > 0);
}
