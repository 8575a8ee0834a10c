//! Reading the audit log: its lists, its export and its verification.

use api::platform::{Event, EventQuery, EventVerdict};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base::{Base, Error, Result, SubjectKind, detached::detached, events::verify, pages, web::Search};
use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc};
use store::{
    events::{Filter, Found, LIST, Row},
    pages::{Page, Place, Range},
};
use uuid::Uuid;

use crate::{actor::Actor, rights::Can};

/// Query of an app's list.
#[derive(Default, serde::Deserialize)]
pub struct ListQuery {
    before: Option<i64>,
    max: Option<i64>,
    /// Without events that only report the success of an earlier one.
    #[serde(default)]
    news: bool,
}

/// `GET /events`
pub async fn event_list_all(
    State(base): State<Base>,
    actor: Actor,
    headers: HeaderMap,
    Search(query): Search<EventQuery>,
) -> Result<Response> {
    actor.must_administer()?;
    let asked = Asked::read(&headers, query.before, query.max)?;
    let filter = Filter { before: asked.before, ..filter(&actor, query).await? };
    let found = store::events::event_find(base.db(), &filter, asked.most).await?;
    Ok(asked.answer(found, |row| shown(true, row)))
}

/// The request for a list: the fields `before` and `max` of the query limit it, and `Range`, from the previous
/// response, says where to continue.
struct Asked {
    before: Option<i64>,
    most: i64,
    range: Range,
}

impl Asked {
    fn read(headers: &HeaderMap, before: Option<i64>, max: Option<i64>) -> Result<Self> {
        let range = pages::requested(headers, &LIST)?;
        if !range.is_descending() && range.after_number().is_some() {
            return Err(Error::invalid("Events are listed newest first: use order=desc in the Range header."));
        }
        let range = range.turned(true);
        let mut most = max.unwrap_or(store::pages::USUAL as i64).clamp(1, store::pages::MOST as i64);
        if headers.contains_key(header::RANGE) {
            most = most.min(range.max() as i64);
        }
        let before = before.into_iter().chain(range.after_number()).min();
        Ok(Self { before, most, range })
    }

    /// Everything that was requested; or 206 with as much as fits into a page, and the range of the rest.
    fn answer(self, found: Found, shown: impl FnMut(Row) -> Event) -> Response {
        let place = |row: &Row| Place { value: row.seq.to_string(), id: Uuid::nil() };
        let ends = found.rows.first().zip(found.rows.last()).map(|(first, last)| (place(first), place(last)));
        let left = (self.most as usize).saturating_sub(found.rows.len());
        let rows = found.rows.into_iter().map(shown).collect();
        pages::respond(&LIST, &self.range.at_most(left), Page { rows, ends, has_more: found.is_cut })
    }
}

/// `GET /events/export`: all matching events, newest first, as JSON lines.
pub async fn event_export(
    State(base): State<Base>,
    actor: Actor,
    Search(query): Search<EventQuery>,
) -> Result<Response> {
    actor.must_administer()?;
    let filter = filter(&actor, query).await?;
    let lines = futures::stream::try_unfold((base, Some(filter)), |(base, filter)| async move {
        let Some(mut filter) = filter else { return Ok(None) };
        let found = detached({
            let (base, filter) = (base.clone(), filter.clone());
            async move { store::events::event_find(base.db(), &filter, 1000).await }
        });
        let Found { rows, is_cut } = found.await??;
        let is_last = rows.len() < 1000 && !is_cut;
        filter.before = rows.last().map(|row| row.seq);
        let line = |row| serde_json::to_string(&shown(true, row)).map(|line| line + "\n").unwrap_or_default();
        let text: String = rows.into_iter().map(line).collect();
        Ok::<_, anyhow::Error>(Some((text, (base, Some(filter).filter(|_| !is_last)))))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

async fn filter(actor: &Actor, query: EventQuery) -> Result<Filter> {
    // Forms send empty fields, which are ignored.
    let given = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let subject_kind = given(query.subject_kind).map(|name| kind(&name)).transpose()?;
    let subject_id =
        given(query.subject_id).map(|id| id.parse::<Uuid>().map_err(|_| Error::invalid("subject_id must be a UUID.")));
    let (mut app, mut subject) = (None, None);
    if let Some(name) = given(query.app) {
        app = match name.parse() {
            Ok(id) => Some(id),
            Err(_) => actor.app(&name, Can::View).await.ok().map(|app| app.id),
        };
        // A destroyed app is still the subject of its events.
        subject = Some(name).filter(|_| app.is_none());
    }
    Ok(Filter {
        actor: given(query.actor),
        action: given(query.action),
        app,
        subject,
        subject_kind: subject_kind.map(|kind| kind.as_str().to_owned()),
        subject_id: subject_id.transpose()?,
        text: given(query.q),
        since: given(query.since).map(|text| time(&text, 0)).transpose()?,
        until: given(query.until).map(|text| time(&text, 1)).transpose()?,
        before: query.before,
        news: false,
    })
}

fn kind(name: &str) -> Result<SubjectKind> {
    SubjectKind::parse(name).ok_or_else(|| {
        let known = SubjectKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        Error::invalid(format!("subject_kind {name:.100} does not exist. Valid kinds: {known}."))
    })
}

/// A time, or the start of a day plus some days, if the database supports it.
fn time(text: &str, days: u64) -> Result<DateTime<Utc>> {
    let day = || Some(text.parse::<NaiveDate>().ok()?.checked_add_days(Days::new(days))?.and_time(NaiveTime::MIN));
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Some(time.to_utc()),
        Err(_) => day().map(|day| day.and_utc()),
    };
    time.filter(|time| (0..=9999).contains(&time.year())).ok_or_else(|| {
        Error::invalid(format!(
            "{text:?} is neither a date, such as 2026-11-20, nor a time, such as 2026-11-20T10:00:00Z."
        ))
    })
}

/// `GET /apps/{app}/events`
pub async fn event_list(
    State(base): State<Base>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
    Search(query): Search<ListQuery>,
) -> Result<Response> {
    let app = actor.app(&app, Can::View).await?;
    let asked = Asked::read(&headers, query.before, query.max)?;
    let of_app = Filter { app: Some(app.id), before: asked.before, news: query.news, ..Filter::default() };
    let found = store::events::event_find(base.db(), &of_app, asked.most).await?;
    // Credentials and addresses of others are for administrators of the platform only.
    let is_complete = |row: &Row| actor.account.admin || row.actor_id == Some(actor.account.id);
    Ok(asked.answer(found, |row| shown(is_complete(&row), row)))
}

/// `GET /events/verify`
pub async fn event_verify(State(base): State<Base>, actor: Actor) -> Result<Json<EventVerdict>> {
    actor.must_administer()?;
    Ok(Json(verify::verify(&base).await?))
}

/// The event as it appears in responses; complete, or without the actor's credential and address.
fn shown(is_complete: bool, row: Row) -> Event {
    Event {
        seq: row.seq,
        at: row.at,
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        subject_kind: row.subject_kind,
        subject_id: row.subject_id,
        app: row.app_id,
        summary: row.summary,
        data: row.data,
        credential: row.credential.filter(|_| is_complete),
        address: row.address.filter(|_| is_complete),
        // The hash covers these fields, so they could be guessed and tried.
        hash: is_complete.then(|| hex::encode(row.hash)),
    }
}
