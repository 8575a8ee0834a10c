//! Events: the audit log. Every change has an actor, and the log is one chain of hashes.
//!
//! Writing and listing are here; whether the log is what was written is found out in `verify`, with what `anchor`
//! knows of it outside the database.

pub(crate) mod anchor;
mod verify;

use anyhow::Context as _;
use api::platform::{Event, EventQuery, EventVerdict};
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
    change::Change,
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

/// Writes an event with the change that it is of.
pub(crate) async fn event(tx: &mut Change, actor: &Actor, new: New<'_>) -> Result<()> {
    tx.say(row(new, Asker::of(actor).into()));
    Ok(())
}

/// Who asked for what the platform does later, with what, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub account: Uuid,
    pub email: String,
    pub credential: Option<String>,
    pub address: Option<String>,
}

impl Asker {
    /// Whoever asks now.
    pub fn of(actor: &Actor) -> Self {
        Self {
            account: actor.account.id,
            email: actor.account.email.clone(),
            credential: Some(actor.credential.to_string()),
            address: actor.address.clone(),
        }
    }

    /// Who asked for a build: its own event knows.
    pub async fn of_build(tx: &mut PgConnection, build: &store::builds::Row) -> Result<Self> {
        let found = store::events::event_of_build(tx, build.app_id, build.id).await?;
        let (credential, address) = found.unwrap_or_default();
        Ok(Self { account: build.account_id, email: build.email.clone(), credential, address })
    }
}

/// Writes an event of what the platform does because somebody asked for it before.
pub(crate) async fn event_on_behalf(tx: &mut Change, asker: &Asker, new: New<'_>) -> Result<()> {
    tx.say(row(new, asker.clone().into()));
    Ok(())
}

/// Writes an event of the platform's own.
pub(crate) async fn event_of_platform(tx: &mut Change, new: New<'_>) -> Result<()> {
    tx.say(row(new, Who { id: None, name: "wharf".into(), credential: None, address: None }));
    Ok(())
}

/// Writes what somebody was refused before it was known who it is; `name` is who they say they are.
pub(crate) async fn event_of_visitor(
    platform: &Platform,
    name: Option<&str>,
    address: Option<String>,
    new: New<'_>,
) -> Result<()> {
    let mut tx = platform.change().await?;
    let name = name.unwrap_or("somebody").chars().take(254).filter(|c| !c.is_control()).collect();
    tx.say(row(new, Who { id: None, name, credential: None, address }));
    Ok(tx.commit().await?)
}

struct Who {
    id: Option<Uuid>,
    name: String,
    credential: Option<String>,
    address: Option<String>,
}

impl From<Asker> for Who {
    fn from(asker: Asker) -> Self {
        Self { id: Some(asker.account), name: asker.email, credential: asker.credential, address: asker.address }
    }
}

/// An event that has no place in the log yet.
fn row(new: New<'_>, who: Who) -> Row {
    Row {
        seq: 0,
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
        previous: Vec::new(),
        hash: Vec::new(),
    }
}

/// Puts an event at the end of the log. Until the end of the transaction nobody else does, so that nothing may be
/// done in it any more but to commit: [`Change`] sees to that.
pub(crate) async fn append(platform: &Platform, tx: &mut PgConnection, event: Row) -> anyhow::Result<()> {
    let (seq, previous) = head(platform, tx).await.context("read the head of the audit log")?;
    let mut row = Row { seq: seq + 1, previous, ..event };
    row.hash = hash(&row);
    store::events::event_create(&mut *tx, &row).await.context("write to the audit log")?;
    let seal = seal(platform, row.seq, &row.hash);
    store::events::event_seal_update(tx, row.seq, &seal, row.at).await.context("seal the audit log")
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
async fn head(platform: &Platform, tx: &mut PgConnection) -> sqlx::Result<(i64, Vec<u8>)> {
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
    let mut tx = platform.change().await?;
    let (seq, hash) = store::events::event_head(&mut tx).await?;
    if store::events::event_seal(&mut *tx).await?.is_some_and(|(_, seal)| seal.is_none()) {
        store::events::event_seal_update(&mut *tx, seq, &seal(platform, seq, &hash), Utc::now()).await?;
        if seq > 0 {
            let summary = format!("Sealed the audit log at event {seq}.");
            let new =
                New { action: "event.seal", subject: "audit log", app: None, summary, data: serde_json::json!({}) };
            event_of_platform(&mut tx, new).await?;
        }
    }
    Ok(tx.commit().await?)
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
            "{text:?} is neither a date, such as 2026-11-20, nor a time, such as 2026-11-20T10:00:00Z."
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
    Ok(Json(rows.into_iter().map(|row| shown_to(&actor, row)).collect()))
}

/// With what others ask, and from where, is for administrators of the platform alone.
fn shown_to(actor: &Actor, row: Row) -> Event {
    let is_theirs = actor.account.admin || row.actor_id == Some(actor.account.id);
    let event = shown(row);
    match is_theirs {
        true => event,
        // The hash is over all of it, so that it could be found by trying.
        false => Event { credential: None, address: None, hash: None, ..event },
    }
}

/// `GET /events/verify`
pub async fn event_verify(State(platform): State<Platform>, actor: Actor) -> Result<Json<EventVerdict>> {
    actor.must_administer()?;
    Ok(Json(verify::verify(&platform).await?))
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
