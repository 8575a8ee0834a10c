//! Events: the audit log. Every change has an actor, and the log is one chain of hashes.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use store::events::Row;
use uuid::Uuid;

use crate::{Platform, actor::Actor, error::Result, rights::Can, web::Search};

/// An event that is about to be written.
pub struct New<'a> {
    /// `release.create`
    pub action: &'a str,
    /// What it is done to, by name.
    pub subject: &'a str,
    pub app: Option<Uuid>,
    /// One sentence. Never a secret value.
    pub summary: String,
    /// More, for programs. Never a secret value.
    pub data: serde_json::Value,
}

/// Writes an event in the transaction that makes the change.
pub(crate) async fn event(tx: &mut PgConnection, actor: &Actor, new: New<'_>) -> Result<()> {
    write(
        tx,
        new,
        Who {
            id: Some(actor.account.id),
            name: actor.account.email.clone(),
            credential: Some(actor.credential.to_string()),
            address: actor.address.clone(),
        },
    )
    .await
}

/// Writes an event of the platform's own.
pub(crate) async fn event_of_platform(tx: &mut PgConnection, new: New<'_>) -> Result<()> {
    write(tx, new, Who { id: None, name: "wharf".into(), credential: None, address: None }).await
}

struct Who {
    id: Option<Uuid>,
    name: String,
    credential: Option<String>,
    address: Option<String>,
}

async fn write(tx: &mut PgConnection, new: New<'_>, who: Who) -> Result<()> {
    let (seq, previous) = store::events::event_head(tx).await?;
    let mut row = Row {
        seq: seq + 1,
        // The database keeps microseconds; the hash is over what it keeps.
        at: micros(Utc::now()),
        actor_id: who.id,
        actor: who.name,
        credential: who.credential,
        address: who.address,
        action: new.action.into(),
        subject: new.subject.into(),
        app_id: new.app,
        summary: new.summary,
        data: new.data,
        previous,
        hash: Vec::new(),
    };
    row.hash = hash(&row);
    store::events::event_create(tx, &row).await?;
    Ok(())
}

fn micros(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

fn hash(row: &Row) -> Vec<u8> {
    let content = serde_json::json!([
        row.seq,
        row.at.timestamp_micros(),
        row.actor_id,
        row.actor,
        row.credential,
        row.address,
        row.action,
        row.subject,
        row.app_id,
        row.summary,
        row.data,
    ]);
    Sha256::new().chain_update(&row.previous).chain_update(content.to_string()).finalize().to_vec()
}

/// What `audit:verify` found.
#[derive(serde::Serialize)]
pub struct Verdict {
    /// How many events were read.
    pub events: i64,
    /// The number of the first event that is not what it was, or that is missing.
    pub broken_at: Option<i64>,
    /// One sentence.
    pub message: String,
}

/// Reads the whole chain and names the first link that does not hold.
pub(crate) async fn verify(platform: &Platform) -> Result<Verdict> {
    let (mut seq, mut previous) = (0, vec![0; 32]);
    loop {
        let rows = store::events::event_after(platform.db(), seq, 1000).await?;
        if rows.is_empty() {
            let message = format!("All {seq} events are as they were written.");
            return Ok(Verdict { events: seq, broken_at: None, message });
        }
        for row in rows {
            if row.seq != seq + 1 || row.previous != previous || row.hash != hash(&row) {
                let what = if row.seq != seq + 1 { "is missing" } else { "was changed" };
                let message = format!("Event {} {what}: the audit log was tampered with from there on.", seq + 1);
                return Ok(Verdict { events: seq, broken_at: Some(seq + 1), message });
            }
            (seq, previous) = (row.seq, row.hash);
        }
    }
}

/// Query of the two lists.
#[derive(Default, serde::Deserialize)]
pub struct ListQuery {
    before: Option<i64>,
    max: Option<i64>,
}

/// `GET /events`
pub async fn event_list_all(
    State(platform): State<Platform>,
    actor: Actor,
    Search(query): Search<ListQuery>,
) -> Result<Json<Vec<api::platform::Event>>> {
    actor.must_administer()?;
    list(&platform, None, &query).await
}

/// `GET /apps/{app}/events`
pub async fn event_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Search(query): Search<ListQuery>,
) -> Result<Json<Vec<api::platform::Event>>> {
    let app = actor.app(&app, Can::View).await?;
    list(&platform, Some(app.id), &query).await
}

/// `GET /events/verify`
pub async fn event_verify(State(platform): State<Platform>, actor: Actor) -> Result<Json<Verdict>> {
    actor.must_administer()?;
    Ok(Json(verify(&platform).await?))
}

async fn list(platform: &Platform, app: Option<Uuid>, query: &ListQuery) -> Result<Json<Vec<api::platform::Event>>> {
    let most = query.max.unwrap_or(200).clamp(1, 1000);
    let rows = store::events::event_list(platform.db(), app, query.before, most).await?;
    Ok(Json(rows.into_iter().map(shown).collect()))
}

fn shown(row: Row) -> api::platform::Event {
    api::platform::Event {
        seq: row.seq,
        at: row.at,
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        app: row.app_id,
        summary: row.summary,
        data: row.data,
        credential: row.credential,
        address: row.address,
    }
}
