//! Events: every query.

use api::ids::BuildId;
use serde_json::json;
use store::events::*;
use uuid::Uuid;

use crate::world::{World, at};

#[tokio::test]
async fn events() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let mut db = w.db.begin().await.unwrap();
    assert_eq!(event_head(&mut db).await.unwrap(), (0, vec![0; 32]));
    for seq in 1..=3 {
        let row = Row {
            seq,
            at: at(seq),
            actor_id: Some(w.account.id),
            actor: "ada".into(),
            credential: Some("token".into()),
            address: None,
            action: "app.update".into(),
            subject: "dusk".into(),
            app_id: (seq != 2).then_some(app),
            subject_kind: (seq > 1).then(|| if seq == 2 { "team".into() } else { "app".into() }),
            subject_id: (seq != 2).then_some(app.get()),
            summary: "Did.".into(),
            data: json!({ "b": 1, "a": [null] }),
            previous: vec![],
            hash: vec![seq as u8],
            version: 2,
        };
        event_create(&mut db, &[row]).await.unwrap();
    }
    assert_eq!(event_head(&mut db).await.unwrap(), (3, vec![3]));
    assert_eq!(event_tip(&mut *db).await.unwrap(), Some((3, vec![3])));
    assert_eq!(event_hash(&mut *db, 2).await.unwrap(), Some(vec![2]));
    assert_eq!(event_of_build(&mut *db, app, BuildId::nil()).await.unwrap(), None);
    assert_eq!(event_newest_at(&mut *db).await.unwrap(), Some(at(3)));
    db.commit().await.unwrap();
    let seqs = |found: Found| found.rows.into_iter().map(|e| e.seq).collect::<Vec<_>>();
    assert_eq!(seqs(event_find(&w.db, &Filter::default(), 2).await.unwrap()), [3, 2]);
    let find = async |filter: Filter| seqs(event_find(&w.db, &filter, 9).await.unwrap());
    let text = |t: &str| Some(t.to_owned());
    assert_eq!(find(Filter::default()).await, [3, 2, 1]);
    assert_eq!(find(Filter { app: Some(app), before: Some(3), ..Filter::default() }).await, [1]);
    assert_eq!(
        find(Filter { actor: text("AD"), action: text("app."), before: Some(3), ..Filter::default() }).await,
        [2, 1]
    );
    assert_eq!(
        find(Filter { app: Some(app), subject: text("dusk"), text: text("did"), ..Filter::default() }).await,
        [3, 1]
    );
    assert_eq!(find(Filter { subject_kind: text("team"), ..Filter::default() }).await, [2]);
    assert_eq!(find(Filter { subject_kind: text("app"), subject_id: Some(app.get()), ..Filter::default() }).await, [3]);
    assert_eq!(find(Filter { subject_id: Some(app.get()), ..Filter::default() }).await, [3, 1]);
    assert_eq!(find(Filter { subject_id: Some(Uuid::nil()), ..Filter::default() }).await, [0; 0]);
    assert_eq!(find(Filter { since: Some(at(2)), until: Some(at(3)), ..Filter::default() }).await, [2]);
    assert_eq!(find(Filter { action: text("pp"), ..Filter::default() }).await, [0; 0]);
    event_seal_update(&w.db, 3, b"seal", at(3)).await.unwrap();
    let mut tx = w.db.begin().await.unwrap();
    event_snapshot(&mut *tx).await.unwrap();
    assert_eq!(event_seal(&mut *tx).await.unwrap(), Some((3, Some(b"seal".to_vec()))));
    tx.rollback().await.unwrap();
    for change in ["update events set actor = 'x'", "delete from events", "truncate events"] {
        let refused = sqlx::query(change).execute(&w.db).await.unwrap_err();
        assert!(refused.to_string().contains("can only be added to"), "{refused}");
    }
    let after = event_after(&w.db, 1, 9).await.unwrap();
    assert_eq!(after.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(find(Filter { news: true, ..Filter::default() }).await, [3, 2, 1]);
    for (seq, succeeded) in [(4, true), (5, false)] {
        let data = json!({ "release": 2, "succeeded": succeeded });
        let row =
            Row { seq, action: "release.phase".into(), data, ..event_after(&w.db, 2, 1).await.unwrap().remove(0) };
        event_create(&mut w.db.acquire().await.unwrap(), &[row]).await.unwrap();
    }
    assert_eq!(find(Filter { news: true, ..Filter::default() }).await, [5, 3, 2, 1]);
}

#[tokio::test]
async fn more_events_than_one_statement_takes_are_appended_together() {
    let w = World::start().await;
    let event = |seq: i64| Row {
        seq,
        at: at(seq),
        actor_id: None,
        actor: "ada".into(),
        credential: None,
        address: Some("192.0.2.7".into()),
        action: "account.delete".into(),
        subject: format!("account {seq}"),
        app_id: None,
        subject_kind: Some("account".into()),
        subject_id: (seq % 2 == 0).then(Uuid::nil),
        summary: "Did.".into(),
        data: json!({ "seq": seq }),
        previous: vec![1],
        hash: vec![2],
        version: 2,
    };
    let mut db = w.db.acquire().await.unwrap();
    event_create(&mut db, &[]).await.unwrap();
    let all: Vec<_> = (1..=1201).map(event).collect();
    event_create(&mut db, &all).await.unwrap();
    let found = event_after(&w.db, 0, 2000).await.unwrap();
    assert_eq!(found.len(), all.len());
    for (found, row) in found.iter().zip(&all) {
        assert_eq!(format!("{found:?}"), format!("{row:?}"));
    }
}

#[tokio::test]
async fn a_page_of_large_events_has_fewer_of_them() {
    let w = World::start().await;
    for (seq, bytes) in [(1, 2 << 20), (2, 2 << 20), (3, 600 << 10), (4, 600 << 10), (5, 300 << 10)] {
        let row = Row {
            seq,
            at: at(seq),
            actor_id: None,
            actor: "ada".into(),
            credential: None,
            address: None,
            action: "app.update".into(),
            subject: "dusk".into(),
            app_id: None,
            subject_kind: None,
            subject_id: None,
            summary: "Did.".into(),
            data: json!({ "long": "x".repeat(bytes) }),
            previous: vec![],
            hash: vec![],
            version: 2,
        };
        event_create(&mut w.db.acquire().await.unwrap(), &[row]).await.unwrap();
    }
    let page = async |before: Option<i64>, most: i64| {
        let filter = Filter { before, ..Filter::default() };
        let found = event_find(&w.db, &filter, most).await.unwrap();
        (found.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), found.is_cut)
    };
    assert_eq!(page(None, 9).await, (vec![5, 4, 3], true));
    assert_eq!(page(None, 3).await, (vec![5, 4, 3], false));
    assert_eq!(page(None, 2).await, (vec![5, 4], false));
    // A page always contains at least one.
    assert_eq!(page(Some(3), 9).await, (vec![2], true));
    assert_eq!(page(Some(2), 9).await, (vec![1], false));
}

#[tokio::test]
async fn old_events_get_the_subject_that_is_known() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    // The table as it was before the migration.
    sqlx::query("alter table events drop subject_kind, drop subject_id, drop version").execute(&w.db).await.unwrap();
    let insert = "insert into events (seq, at, actor, action, subject, app_id, summary, data, previous, hash)
        values ($1, now(), 'ada', 'app.update', 'dusk', $2, 'Did.', '{}', '', '')";
    for (seq, app) in [(1, Some(app)), (2, None)] {
        sqlx::query(insert).bind(seq).bind(app).execute(&w.db).await.unwrap();
    }
    let migration = include_str!("../../../../../migrations/0030_events_subjects.sql");
    sqlx::raw_sql(migration).execute(&w.db).await.unwrap();
    // The previous version of the server, which is still running.
    sqlx::query(insert).bind(3).bind(app).execute(&w.db).await.unwrap();
    let rows = event_after(&w.db, 0, 9).await.unwrap();
    let found: Vec<_> = rows.iter().map(|e| (e.version, e.subject_kind.as_deref(), e.subject_id)).collect();
    assert_eq!(found, [(1, Some("app"), Some(app.get())), (1, None, None), (1, None, None)]);
    let refused = sqlx::query("update events set subject_kind = null").execute(&w.db).await.unwrap_err();
    assert!(refused.to_string().contains("can only be added to"), "{refused}");
}
