//! Events (the audit log): rows and queries. Rows are added, never changed.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// A row of `events`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub actor_id: Option<Uuid>,
    pub actor: String,
    pub credential: Option<String>,
    pub address: Option<String>,
    pub action: String,
    pub subject: String,
    pub app_id: Option<Uuid>,
    pub summary: String,
    pub data: serde_json::Value,
    pub previous: Vec<u8>,
    pub hash: Vec<u8>,
}

/// The number and hash of the newest event. Holds a lock until the end of the transaction, so
/// that events form one chain.
pub async fn event_head(db: &mut PgConnection) -> sqlx::Result<(i64, Vec<u8>)> {
    sqlx::query("select pg_advisory_xact_lock(7302)").execute(&mut *db).await?;
    let head: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select seq, hash from events order by seq desc limit 1").fetch_optional(db).await?;
    Ok(head.unwrap_or((0, vec![0; 32])))
}

/// Adds an event after the head.
pub async fn event_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into events (seq, at, actor_id, actor, credential, address, action, subject, app_id, summary, data,
                             previous, hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(row.seq)
    .bind(row.at)
    .bind(row.actor_id)
    .bind(&row.actor)
    .bind(&row.credential)
    .bind(&row.address)
    .bind(&row.action)
    .bind(&row.subject)
    .bind(row.app_id)
    .bind(&row.summary)
    .bind(&row.data)
    .bind(&row.previous)
    .bind(&row.hash)
    .execute(db)
    .await?;
    Ok(())
}

/// Events, newest first; those of one app when it is given, older than `before` when that is given.
pub async fn event_list(
    db: impl PgExecutor<'_>,
    app: Option<Uuid>,
    before: Option<i64>,
    most: i64,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select * from events where ($1::uuid is null or app_id = $1) and ($2::bigint is null or seq < $2)
         order by seq desc limit $3",
    )
    .bind(app)
    .bind(before)
    .bind(most)
    .fetch_all(db)
    .await
}

/// Events after `after`, oldest first: for checking the chain.
pub async fn event_after(db: impl PgExecutor<'_>, after: i64, most: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from events where seq > $1 order by seq limit $2")
        .bind(after)
        .bind(most)
        .fetch_all(db)
        .await
}
