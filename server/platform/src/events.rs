//! Events: the audit log. Every change has an actor, and the log is one chain of hashes.

use api::platform::{Event, EventQuery};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use store::events::{Filter, Row};
use uuid::Uuid;

use crate::{
    Platform,
    actor::Actor,
    error::{Error, Result},
    rights::Can,
    secrets,
    web::Search,
};

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
        &actor.platform,
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

/// Writes an event of what the platform does because an account asked for it before.
pub(crate) async fn event_on_behalf(
    platform: &Platform,
    tx: &mut PgConnection,
    (account, email): (Uuid, &str),
    new: New<'_>,
) -> Result<()> {
    let who = Who { id: Some(account), name: email.into(), credential: None, address: None };
    write(platform, tx, new, who).await
}

/// Writes an event of the platform's own.
pub(crate) async fn event_of_platform(platform: &Platform, tx: &mut PgConnection, new: New<'_>) -> Result<()> {
    write(platform, tx, new, Who { id: None, name: "wharf".into(), credential: None, address: None }).await
}

/// Writes what somebody was refused before it was known who it is; `name` is who they say they are.
pub(crate) async fn event_of_visitor(
    platform: &Platform,
    name: Option<&str>,
    address: Option<String>,
    new: New<'_>,
) -> Result<()> {
    let mut tx = platform.db().begin().await?;
    let name = name.unwrap_or("somebody").chars().take(254).filter(|c| !c.is_control()).collect();
    write(platform, &mut tx, new, Who { id: None, name, credential: None, address }).await?;
    tx.commit().await?;
    Ok(())
}

struct Who {
    id: Option<Uuid>,
    name: String,
    credential: Option<String>,
    address: Option<String>,
}

async fn write(platform: &Platform, tx: &mut PgConnection, new: New<'_>, who: Who) -> Result<()> {
    let (seq, previous) = head(platform, tx).await?;
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
    store::events::event_create(&mut *tx, &row).await?;
    store::events::event_seal_update(tx, row.seq, &seal(platform, row.seq, &row.hash), row.at).await?;
    Ok(())
}

/// Looks for new events while somebody wants to hear of them, until it is dropped. What writes one is in a
/// transaction and cannot tell.
pub(crate) async fn watch(platform: Platform) {
    let newest = platform.newest_event();
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        if newest.receiver_count() > 0
            && let Ok(seq) = store::events::event_newest(platform.db()).await
        {
            newest.send_if_modified(|known| std::mem::replace(known, seq) != seq);
        }
    }
}

/// What the next event comes after. If that is not what was sealed, the next one does not fit to it
/// either, so that the break stays where it is instead of being sealed over.
async fn head(platform: &Platform, tx: &mut PgConnection) -> Result<(i64, Vec<u8>)> {
    let (seq, hash) = store::events::event_head(&mut *tx).await?;
    let (sealed, found) = store::events::event_seal(tx).await?.unwrap_or((0, None));
    if sealed == seq && found.is_some_and(|found| secrets::same(&found, &seal(platform, seq, &hash))) {
        return Ok((seq, hash));
    }
    tracing::error!("the audit log was tampered with at event {}", seq.min(sealed) + 1);
    Ok((seq.max(sealed), vec![0; 32]))
}

/// What only the platform's key makes of the newest event. Since each hash holds the one before, it
/// speaks for the whole log: who can write in the database can make hashes, but not this.
fn seal(platform: &Platform, seq: i64, hash: &[u8]) -> Vec<u8> {
    platform.secrets().mac("audit log", &[&seq.to_be_bytes(), hash].concat())
}

/// Seals a log that was written before there were seals; it says so itself.
pub(crate) async fn seal_first(platform: &Platform) -> Result<()> {
    let mut tx = platform.db().begin().await?;
    let (seq, hash) = store::events::event_head(&mut tx).await?;
    if store::events::event_seal(&mut *tx).await?.is_some_and(|(_, seal)| seal.is_none()) {
        store::events::event_seal_update(&mut *tx, seq, &seal(platform, seq, &hash), Utc::now()).await?;
        if seq > 0 {
            let summary = format!("Sealed the audit log at event {seq}.");
            let new =
                New { action: "event.seal", subject: "audit log", app: None, summary, data: serde_json::json!({}) };
            event_of_platform(platform, &mut tx, new).await?;
        }
    }
    tx.commit().await?;
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

impl Verdict {
    fn broken(events: i64, at: i64, what: &str) -> Self {
        let message = format!("Event {at} {what}: the audit log was tampered with from there on.");
        Self { events, broken_at: Some(at), message }
    }
}

/// Reads the whole chain and names the first link that does not hold.
pub(crate) async fn verify(platform: &Platform) -> Result<Verdict> {
    let mut tx = platform.db().begin().await?;
    store::events::event_snapshot(&mut *tx).await?;
    let (mut seq, mut previous) = (0, vec![0; 32]);
    loop {
        let rows = store::events::event_after(&mut *tx, seq, 1000).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if row.seq != seq + 1 {
                return Ok(Verdict::broken(seq, seq + 1, "is missing"));
            }
            if row.previous != previous || row.hash != hash(&row) {
                return Ok(Verdict::broken(seq, seq + 1, "was changed"));
            }
            (seq, previous) = (row.seq, row.hash);
        }
    }
    let (sealed, found) = store::events::event_seal(&mut *tx).await?.unwrap_or((0, None));
    if sealed > seq {
        return Ok(Verdict::broken(seq, seq + 1, "is missing"));
    }
    if sealed < seq || !found.is_some_and(|found| secrets::same(&found, &seal(platform, seq, &previous))) {
        return Ok(Verdict::broken(seq, seq, "is not the one that was sealed"));
    }
    let message = match seq {
        1 => "The only event is as it was written.".to_owned(),
        _ => format!("All {seq} events are as they were written."),
    };
    Ok(Verdict { events: seq, broken_at: None, message })
}

/// Query of an app's list.
#[derive(Default, serde::Deserialize)]
pub struct ListQuery {
    before: Option<i64>,
    max: Option<i64>,
    /// Without those that only say that what was begun before went well.
    #[serde(default)]
    news: bool,
}

/// `GET /events`
pub async fn event_list_all(
    State(platform): State<Platform>,
    actor: Actor,
    Search(query): Search<EventQuery>,
) -> Result<Json<Vec<Event>>> {
    actor.must_administer()?;
    let most = query.max.unwrap_or(200).clamp(1, 1000);
    let rows = store::events::event_find(platform.db(), &filter(&actor, query).await?, most).await?;
    Ok(Json(rows.into_iter().map(shown).collect()))
}

/// `GET /events/export`: all that is looked for, newest first, a line of JSON each.
pub async fn event_export(
    State(platform): State<Platform>,
    actor: Actor,
    Search(query): Search<EventQuery>,
) -> Result<Response> {
    actor.must_administer()?;
    let filter = filter(&actor, query).await?;
    let lines = futures::stream::try_unfold((platform, Some(filter)), |(platform, filter)| async move {
        let Some(mut filter) = filter else { return Ok(None) };
        let rows = store::events::event_find(platform.db(), &filter, 1000).await?;
        let is_last = rows.len() < 1000;
        filter.before = rows.last().map(|row| row.seq);
        let line = |row| serde_json::to_string(&shown(row)).map(|line| line + "\n").unwrap_or_default();
        let text: String = rows.into_iter().map(line).collect();
        Ok::<_, sqlx::Error>(Some((text, (platform, Some(filter).filter(|_| !is_last)))))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

async fn filter(actor: &Actor, query: EventQuery) -> Result<Filter> {
    // Forms send empty fields; they ask for nothing.
    let given = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let (mut app, mut subject) = (None, None);
    if let Some(name) = given(query.app) {
        app = match name.parse() {
            Ok(id) => Some(id),
            Err(_) => actor.app(&name, Can::View).await.ok().map(|app| app.id),
        };
        // An app that is gone is still the subject of what was done to it.
        subject = Some(name).filter(|_| app.is_none());
    }
    Ok(Filter {
        actor: given(query.actor),
        action: given(query.action),
        app,
        subject,
        text: given(query.q),
        since: given(query.since).map(|text| time(&text, 0)).transpose()?,
        until: given(query.until).map(|text| time(&text, 1)).transpose()?,
        before: query.before,
        news: false,
    })
}

/// A time, or the beginning of a day and so many days later.
fn time(text: &str, days: u64) -> Result<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day = text.parse::<NaiveDate>().ok().and_then(|day| day.checked_add_days(Days::new(days)));
    day.map(|day| day.and_time(NaiveTime::MIN).and_utc()).ok_or_else(|| {
        Error::invalid(format!(
            "{text:?} is neither a day, such as 2026-11-20, nor a time, such as 2026-11-20T10:00:00Z."
        ))
    })
}

/// `GET /apps/{app}/events`
pub async fn event_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Search(query): Search<ListQuery>,
) -> Result<Json<Vec<Event>>> {
    let app = actor.app(&app, Can::View).await?;
    let most = query.max.unwrap_or(200).clamp(1, 1000);
    let of_app = Filter { app: Some(app.id), before: query.before, news: query.news, ..Filter::default() };
    let rows = store::events::event_find(platform.db(), &of_app, most).await?;
    Ok(Json(rows.into_iter().map(shown).collect()))
}

/// `GET /events/verify`
pub async fn event_verify(State(platform): State<Platform>, actor: Actor) -> Result<Json<Verdict>> {
    actor.must_administer()?;
    Ok(Json(verify(&platform).await?))
}

fn shown(row: Row) -> Event {
    Event {
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
        hash: Some(hex::encode(row.hash)),
    }
}
