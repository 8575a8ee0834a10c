//! Events (the audit log): rows and queries. Append-only.

use api::ids::{AccountId, AppId, BuildId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::pages::{Kind, List, Order};

/// The order of events: newest first.
pub static LIST: List = List::by_descending(&[Order::unique("seq", Kind::Number, "t.seq")]);

/// A row of `events`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub actor_id: Option<AccountId>,
    pub actor: String,
    pub credential: Option<String>,
    pub address: Option<String>,
    pub action: String,
    pub subject: String,
    pub app_id: Option<AppId>,
    /// A name of `api::subjects::SubjectKind`, or one that only a newer server knows.
    pub subject_kind: Option<String>,
    pub subject_id: Option<Uuid>,
    pub summary: String,
    pub data: serde_json::Value,
    pub previous: Vec<u8>,
    pub hash: Vec<u8>,
    /// Which fields the hash covers.
    pub version: i16,
}

/// The number and hash of the newest event. Takes a lock until the end of the transaction, so that events form
/// one chain.
pub async fn event_head(db: &mut PgConnection) -> sqlx::Result<(i64, Vec<u8>)> {
    sqlx::query("select pg_advisory_xact_lock(7302)").execute(&mut *db).await?;
    let head: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select seq, hash from events order by seq desc limit 1").fetch_optional(db).await?;
    Ok(head.unwrap_or((0, vec![0; 32])))
}

/// Rows that one statement inserts. Postgres allows 65,535 arguments.
const MOST_ROWS: usize = 500;

/// Appends events after the head.
pub async fn event_create(db: &mut PgConnection, rows: &[Row]) -> sqlx::Result<()> {
    for rows in rows.chunks(MOST_ROWS) {
        let mut insert = QueryBuilder::<Postgres>::new(
            "insert into events (seq, at, actor_id, actor, credential, address, action, subject, app_id, summary, data,
                                 previous, hash, subject_kind, subject_id, version) ",
        );
        insert.push_values(rows, |mut values, row| {
            values.push_bind(row.seq).push_bind(row.at).push_bind(row.actor_id).push_bind(&row.actor);
            values.push_bind(&row.credential).push_bind(&row.address).push_bind(&row.action).push_bind(&row.subject);
            values.push_bind(row.app_id).push_bind(&row.summary).push_bind(&row.data).push_bind(&row.previous);
            values.push_bind(&row.hash).push_bind(&row.subject_kind).push_bind(row.subject_id).push_bind(row.version);
        });
        // Only the most common statement is worth caching on the connection.
        insert.build().persistent(rows.len() == 1).execute(&mut *db).await?;
    }
    Ok(())
}

/// A filter for events; absent fields match everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the actor's name.
    pub actor: Option<String>,
    /// Prefix of the action: `app.` or `app.create`.
    pub action: Option<String>,
    pub app: Option<AppId>,
    /// The name of the subject.
    pub subject: Option<String>,
    pub subject_kind: Option<String>,
    pub subject_id: Option<Uuid>,
    /// Text in any field.
    pub text: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub before: Option<i64>,
    /// Excludes successful release phases.
    pub news: bool,
}

/// The size of a page of events, in bytes: it contains fewer of them if they are large.
const PAGE: i64 = 1 << 20;

/// Events, and whether more were requested than fit into a page.
#[derive(Debug)]
pub struct Found {
    pub rows: Vec<Row>,
    pub is_cut: bool,
}

#[derive(sqlx::FromRow)]
struct Counted {
    #[sqlx(flatten)]
    row: Row,
    asked_for: i64,
}

/// The newest matching events, newest first: at most `most`, and at most a page. There is at least one, however large.
pub async fn event_find(db: impl PgExecutor<'_>, filter: &Filter, most: i64) -> sqlx::Result<Found> {
    let counted: Vec<Counted> = sqlx::query_as(
        "with page as (
             select seq, octet_length(data::text) + octet_length(summary) + octet_length(subject) + 500 as size
             from events
             where ($1::text is null or position(lower($1) in lower(actor)) > 0)
                 and ($2::text is null or starts_with(action, $2))
                 and ($3::uuid is null or app_id = $3)
                 and ($4::text is null or subject = $4)
                 and ($5::text is null or position(lower($5) in lower(concat_ws(' ', actor, action, subject, summary,
                                                                                credential, address))) > 0)
                 and ($6::timestamptz is null or at >= $6)
                 and ($7::timestamptz is null or at < $7)
                 and ($8::bigint is null or seq < $8)
                 and ($12::text is null or subject_kind = $12)
                 and ($13::uuid is null or subject_id = $13)
                 and not ($10 and action = 'release.phase' and coalesce(data ->> 'succeeded', 'false') = 'true')
             order by seq desc limit $9
         ), sums as (
             select seq, sum(size) over (order by seq desc) - size as before, count(*) over () as asked_for from page
         )
         select e.*, s.asked_for from sums s join events e on e.seq = s.seq
         where s.before < $11 order by e.seq desc",
    )
    .bind(&filter.actor)
    .bind(&filter.action)
    .bind(filter.app)
    .bind(&filter.subject)
    .bind(&filter.text)
    .bind(filter.since)
    .bind(filter.until)
    .bind(filter.before)
    .bind(most)
    .bind(filter.news)
    .bind(PAGE)
    .bind(&filter.subject_kind)
    .bind(filter.subject_id)
    .fetch_all(db)
    .await?;
    let is_cut = counted.first().is_some_and(|first| first.asked_for > counted.len() as i64);
    Ok(Found { rows: counted.into_iter().map(|counted| counted.row).collect(), is_cut })
}

/// The credential and origin with which a build was requested.
pub async fn event_of_build(
    db: impl PgExecutor<'_>,
    app: AppId,
    build: BuildId,
) -> sqlx::Result<Option<(Option<String>, Option<String>)>> {
    sqlx::query_as(
        "select credential, address from events
         where app_id = $1 and action in ('build.push', 'build.create') and data ->> 'build' = $2
         order by seq desc limit 1",
    )
    .bind(app)
    .bind(build.to_string())
    .fetch_optional(db)
    .await
}

/// The number and hash of the newest event, without a lock; `None` if there are no events.
pub async fn event_tip(db: impl PgExecutor<'_>) -> sqlx::Result<Option<(i64, Vec<u8>)>> {
    sqlx::query_as("select seq, hash from events order by seq desc limit 1").fetch_optional(db).await
}

/// The hash of the event with this number.
pub async fn event_hash(db: impl PgExecutor<'_>, seq: i64) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select hash from events where seq = $1").bind(seq).fetch_optional(db).await
}

/// The time of the newest event; `None` if there are no events.
pub async fn event_newest_at(db: impl PgExecutor<'_>) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("select at from events order by seq desc limit 1").fetch_optional(db).await
}

/// Events after `after`, oldest first: to verify the chain.
pub async fn event_after(db: impl PgExecutor<'_>, after: i64, most: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from events where seq > $1 order by seq limit $2")
        .bind(after)
        .bind(most)
        .fetch_all(db)
        .await
}

/// Makes reads of this transaction see one snapshot.
pub async fn event_snapshot(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("set transaction isolation level repeatable read, read only").execute(db).await?;
    Ok(())
}

/// The number of the newest sealed event, and its seal; `None` in a log that predates seals.
pub async fn event_seal(db: impl PgExecutor<'_>) -> sqlx::Result<Option<(i64, Option<Vec<u8>>)>> {
    sqlx::query_as("select seq, seal from event_seals").fetch_optional(db).await
}

/// Replaces the seal with that of the newest event.
pub async fn event_seal_update(db: impl PgExecutor<'_>, seq: i64, seal: &[u8], now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update event_seals set seq = $1, seal = $2, updated_at = $3")
        .bind(seq)
        .bind(seal)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}
