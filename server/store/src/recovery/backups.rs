//! Backups of the platform: their policy, their rows, and what they need of the database as a whole.

use api::{backups::BackupState, ids::BackupId};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, types::Json};

use crate::{
    pages::{BY_ID, List, Page, Range},
    text::Text,
};

/// The sort orders of backups.
pub static LIST: List = List::by_descending(&[BY_ID]);

/// Where backups are stored, and for how long. When they are made is in the schedule.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct Policy {
    /// A folder or `s3://bucket/prefix`; nothing: there are none.
    pub target: Option<String>,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    /// The secret access key, encrypted.
    pub secret: Option<Vec<u8>>,
    /// The master key, encrypted with a passphrase.
    pub wrapped_key: Option<Json<serde_json::Value>>,
    pub with_logs: bool,
    /// Days whose last backup is kept.
    pub keep: i32,
}

/// A row of `backups`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: BackupId,
    /// Its name in the target.
    pub name: String,
    pub target: String,
    #[sqlx(try_from = "Text<BackupState>")]
    pub state: BackupState,
    pub with_logs: bool,
    /// Of everything that it consists of.
    pub bytes: i64,
    /// Of what was not in the target before.
    pub stored_bytes: i64,
    pub files: i64,
    pub error: Option<String>,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
    pub removed_at: Option<DateTime<Utc>>,
}

/// The policy.
pub async fn backup_policy_info(db: impl PgExecutor<'_>) -> sqlx::Result<Policy> {
    sqlx::query_as(
        "select target, endpoint, region, access_key_id, secret, wrapped_key, with_logs, keep from backup_policies",
    )
    .fetch_one(db)
    .await
}

/// Locks the policy until the end of the transaction, and returns it.
pub async fn backup_policy_hold(db: &mut PgConnection) -> sqlx::Result<Policy> {
    sqlx::query("select id from backup_policies for update").execute(&mut *db).await?;
    backup_policy_info(db).await
}

/// Updates the policy.
pub async fn backup_policy_update(db: impl PgExecutor<'_>, row: &Policy, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update backup_policies set target = $1, endpoint = $2, region = $3, access_key_id = $4, secret = $5,
                wrapped_key = $6, with_logs = $7, keep = $8, updated_at = $9",
    )
    .bind(&row.target)
    .bind(&row.endpoint)
    .bind(&row.region)
    .bind(&row.access_key_id)
    .bind(&row.secret)
    .bind(&row.wrapped_key)
    .bind(row.with_logs)
    .bind(row.keep)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// All backups, newest first.
pub async fn backup_list(db: impl PgExecutor<'_>, range: &Range) -> sqlx::Result<Page<Row>> {
    let rows = sqlx::query(
        "select id, name, target, state, with_logs, bytes, stored_bytes, files, error, started_at, finished_at,
                verified_at, removed_at from backups",
    );
    range.fetch(db, rows).await
}

/// When the newest verified backup was begun, and when the platform was installed.
pub async fn backup_newest_verified(
    db: impl PgExecutor<'_>,
) -> sqlx::Result<(Option<DateTime<Utc>>, Option<DateTime<Utc>>)> {
    sqlx::query_as(
        "select (select max(started_at) from backups where state = 'verified' and removed_at is null),
                (select min(created_at) from accounts)",
    )
    .fetch_one(db)
    .await
}

/// Adds a running backup.
pub async fn backup_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into backups (id, name, target, state, with_logs, started_at) values ($1, $2, $3, 'running', $4, $5)",
    )
    .bind(row.id)
    .bind(&row.name)
    .bind(&row.target)
    .bind(row.with_logs)
    .bind(row.started_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Updates the state of a backup.
pub async fn backup_update(db: impl PgExecutor<'_>, row: &Row, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update backups set state = $2, bytes = $3, stored_bytes = $4, files = $5, error = left($6, 2000),
                finished_at = $7, verified_at = $8, updated_at = $9
         where id = $1",
    )
    .bind(row.id)
    .bind(Text(row.state))
    .bind(row.bytes)
    .bind(row.stored_bytes)
    .bind(row.files)
    .bind(&row.error)
    .bind(row.finished_at)
    .bind(row.verified_at)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Marks as failed what an earlier process has left running.
pub async fn backup_interrupt_all(db: impl PgExecutor<'_>, error: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "update backups set state = 'failed', error = $1, finished_at = $2, updated_at = $2
         where state in ('running', 'completed') and verified_at is null and finished_at is null",
    )
    .bind(error)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Records that backups were removed from a target.
pub async fn backup_remove_all(
    db: impl PgExecutor<'_>,
    target: &str,
    names: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update backups set removed_at = $3, updated_at = $3
         where target = $1 and name = any($2) and removed_at is null",
    )
    .bind(target)
    .bind(names)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes all rows but the newest.
pub async fn backup_sweep(db: impl PgExecutor<'_>, kept: i64) -> sqlx::Result<u64> {
    let swept = sqlx::query(
        "delete from backups where state <> 'running'
           and id not in (select id from backups order by id desc limit $1)",
    );
    Ok(swept.bind(kept).execute(db).await?.rows_affected())
}

/// Turns the schedule off in a restored database, and ends the backup that it was made by: the original platform may
/// still use the target.
pub async fn backup_turn_off(db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update schedules set next_at = null, updated_at = $1 where name = 'backups'")
        .bind(now)
        .execute(&mut *db)
        .await?;
    sqlx::query("delete from jobs where kind = 'backups.run' and state in ('pending', 'running')")
        .execute(&mut *db)
        .await?;
    backup_interrupt_all(db, "The platform was restored from this backup, or a later one.", now).await
}

/// Makes this connection the one that makes a backup: archives of slugs are not removed while it is open. Waits for
/// another one.
pub async fn backup_hold(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_lock(7313, 0)").execute(db).await?;
    Ok(())
}

/// Fixes what this transaction, which must be new, and others that are given the result can see. The transaction may stay
/// idle.
pub async fn backup_snapshot(tx: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    sqlx::query("set local idle_in_transaction_session_timeout = 0").execute(&mut *tx).await?;
    sqlx::query_scalar("select pg_export_snapshot()").fetch_one(tx).await
}

/// The number of rows of each table, by name.
pub async fn backup_row_counts(db: &mut PgConnection) -> sqlx::Result<Vec<(String, i64)>> {
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public' order by 1")
            .fetch_all(&mut *db)
            .await?;
    let mut counts = Vec::new();
    for table in tables {
        let quoted = table.replace('"', "\"\"");
        let count = AssertSqlSafe(format!("select count(*) from public.\"{quoted}\""));
        counts.push((table, sqlx::query_scalar(count).fetch_one(&mut *db).await?));
    }
    Ok(counts)
}

/// The checksums of all archives of slugs.
pub async fn backup_slug_checksums(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select distinct checksum from slugs where checksum is not null order by 1").fetch_all(db).await
}
