//! Backups: the policy, the rows, and what a copy of the database is compared with.

use api::{backups::BackupState, ids::BackupId};
use sqlx::{Connection as _, types::Json};
use store::{
    backups::{
        self, LIST, backup_create, backup_hold, backup_interrupt_all, backup_list, backup_newest_verified,
        backup_policy_hold, backup_policy_info, backup_policy_update, backup_remove_all, backup_row_counts,
        backup_slug_checksums, backup_snapshot, backup_sweep, backup_turn_off, backup_update,
    },
    open_copy, slugs,
};

use crate::world::{World, all, at};

fn running(name: &str) -> backups::Row {
    backups::Row {
        id: BackupId::now_v7(),
        name: name.into(),
        target: "/backups".into(),
        state: BackupState::Running,
        with_logs: true,
        bytes: 0,
        stored_bytes: 0,
        files: 0,
        error: None,
        started_at: at(0),
        finished_at: None,
        verified_at: None,
        removed_at: None,
    }
}

#[tokio::test]
async fn the_policy_is_one_row() {
    let w = World::start().await;
    let mut row = backup_policy_info(&w.db).await.unwrap();
    assert_eq!((row.target.as_deref(), row.with_logs, row.keep), (None, true, 14));
    row.target = Some("s3://bucket/wharf".into());
    row.wrapped_key = Some(Json(serde_json::json!({ "salt": "00" })));
    row.keep = 3;
    backup_policy_update(&w.db, &row, at(1)).await.unwrap();
    let mut tx = w.db.begin().await.unwrap();
    let row = backup_policy_hold(&mut tx).await.unwrap();
    assert_eq!((row.target.as_deref(), row.keep), (Some("s3://bucket/wharf"), 3));
    assert_eq!(row.wrapped_key.unwrap().0["salt"], "00");
}

#[tokio::test]
async fn a_backup_is_listed_until_it_is_one_of_the_oldest() {
    let w = World::start().await;
    let (mut one, two) = (running("one"), running("two"));
    for row in [&one, &two] {
        backup_create(&w.db, row).await.unwrap();
    }
    assert_eq!(backup_newest_verified(&w.db).await.unwrap(), (None, Some(at(0))));
    one.state = BackupState::Verified;
    (one.bytes, one.finished_at, one.verified_at) = (7, Some(at(1)), Some(at(2)));
    backup_update(&w.db, &one, at(2)).await.unwrap();
    assert_eq!(backup_newest_verified(&w.db).await.unwrap().0, Some(at(0)));
    backup_interrupt_all(&w.db, "interrupted", at(3)).await.unwrap();
    let rows = backup_list(&w.db, &all(&LIST)).await.unwrap().rows;
    let states: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.state, row.error.as_deref())).collect();
    let failed = ("two", BackupState::Failed, Some("interrupted"));
    assert_eq!(states, [failed, ("one", BackupState::Verified, None)]);
    backup_remove_all(&w.db, "/backups", &["one".to_owned()], at(4)).await.unwrap();
    assert_eq!(backup_newest_verified(&w.db).await.unwrap().0, None);
    assert_eq!(backup_sweep(&w.db, 1).await.unwrap(), 1);
}

#[tokio::test]
async fn a_snapshot_does_not_see_what_comes_later() {
    let w = World::start().await;
    let mut db = w.db.acquire().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let snapshot = backup_snapshot(&mut tx).await.unwrap();
    assert!(!snapshot.is_empty());
    let apps = |counts: Vec<(String, i64)>| counts.into_iter().find(|(table, _)| table == "apps").unwrap().1;
    assert_eq!(apps(backup_row_counts(&mut tx).await.unwrap()), 0);
    w.app("dusk").await;
    assert_eq!(apps(backup_row_counts(&mut tx).await.unwrap()), 0);
    assert_eq!(backup_slug_checksums(&mut *tx).await.unwrap(), Vec::<String>::new());
    drop(tx);
    assert_eq!(apps(backup_row_counts(&mut db).await.unwrap()), 1);
}

#[tokio::test]
async fn no_archive_is_removed_while_a_backup_is_made() {
    let w = World::start().await;
    let mut backup = w.db.acquire().await.unwrap();
    backup_hold(&mut backup).await.unwrap();
    let checksum = "SHA256:00";
    let mut tx = w.db.begin().await.unwrap();
    assert!(!slugs::slug_archive_take(&mut *tx, checksum).await.unwrap());
    tx.rollback().await.unwrap();
    backup.detach().close().await.unwrap();
    let mut tx = w.db.begin().await.unwrap();
    assert!(slugs::slug_archive_take(&mut *tx, checksum).await.unwrap());
}

#[tokio::test]
async fn a_copy_is_opened_as_it_is() {
    let copy = open_copy(&store::testing::database().await).await.unwrap();
    let mut db = copy.acquire().await.unwrap();
    assert!(!backup_row_counts(&mut db).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_restored_platform_makes_no_backups_by_itself() {
    let w = World::start().await;
    for insert in [
        "insert into schedules (id, name, about, cron, zone, kind, subject, params, next_at)
         select gen_random_uuid(), name, 'x', '0 0 * * *', 'UTC', 'x', gen_random_uuid(), '{}', now()
         from unnest(array['backups', 'retention']) name",
        "insert into jobs (id, kind, subject, params)
         select gen_random_uuid(), kind, gen_random_uuid(), '{}' from unnest(array['backups.run', 'retention.run']) kind",
    ] {
        sqlx::query(insert).execute(&w.db).await.unwrap();
    }
    backup_create(&w.db, &running("one")).await.unwrap();
    let mut db = w.db.acquire().await.unwrap();
    backup_turn_off(&mut db, at(1)).await.unwrap();
    let due: Vec<String> =
        sqlx::query_scalar("select name from schedules where next_at is not null").fetch_all(&w.db).await.unwrap();
    let jobs: Vec<String> = sqlx::query_scalar("select kind from jobs").fetch_all(&w.db).await.unwrap();
    assert_eq!((due, jobs), (vec!["retention".to_owned()], vec!["retention.run".to_owned()]));
    let rows = backup_list(&w.db, &all(&LIST)).await.unwrap().rows;
    assert_eq!(rows[0].state, BackupState::Failed);
}
