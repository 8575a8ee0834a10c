//! Log sessions: an address at which an app's log can be read, and followed, without credentials.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::{
    Platform,
    actor::Actor,
    error::{Error, Result},
    log_lines,
    rights::{Can, Watch},
    web::{Created, Input},
};

/// A session that nobody opens in this time is over. See behaviour.md 4.1.
const LIFE: i64 = 360;
const DEFAULT_LINES: u32 = 100;
/// Proxies close connections that are silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// `POST /apps/{app}/log-sessions`
pub async fn log_session_create(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(create): Input<api::log_sessions::LogSessionCreate>,
) -> Result<Created<api::log_sessions::LogSession>> {
    let app = actor.app(&app, Can::Logs).await?;
    if let Some(odd) = create.source.as_deref().filter(|s| !["", "app", "heroku"].contains(s)) {
        return Err(Error::invalid(format!("source must be app or heroku, not {odd}.")));
    }
    let (id, now) = (Uuid::now_v7(), Utc::now());
    let row = store::log_sessions::Row {
        id,
        app_id: app.id,
        params: serde_json::to_value(&create).map_err(anyhow::Error::new)?,
        expires_at: now + chrono::Duration::seconds(LIFE),
        opened_at: None,
        created_at: now,
        account_id: Some(actor.account.id),
        credential_id: Some(actor.credential.id()),
    };
    store::log_sessions::log_session_create(platform.db(), &row).await?;
    let logplex_url = format!("{}/streams/logs/{}", actor.base, platform.secrets().sign("log session", id));
    Ok(Created(api::log_sessions::LogSession { id: id.into(), logplex_url, created_at: now, updated_at: now }))
}

/// `GET /streams/logs/{secret}`: lines of text, or events for those who ask for them.
pub async fn log_session_stream(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let missing = || Error::not_found("log_session", "Couldn't find that log session. It may have expired.");
    let id = platform.secrets().signed("log session", &secret).ok_or_else(missing)?;
    let row = store::log_sessions::log_session_open(platform.db(), id, Utc::now()).await?.ok_or_else(missing)?;
    let reader = row.account_id.ok_or_else(missing)?;
    let watch = Watch::begin(&platform, reader, row.credential_id, row.app_id, Can::Logs).await?.ok_or_else(missing)?;
    let params: api::log_sessions::LogSessionCreate = serde_json::from_value(row.params).map_err(anyhow::Error::new)?;
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let events = text("accept").is_some_and(|a| a.contains("text/event-stream"));
    let after: Option<u64> = text("last-event-id").and_then(|id| id.parse().ok());
    let lines = lines(&platform, row.app_id, &params, after).await?;
    let kind = if events { "text/event-stream" } else { "text/plain; charset=utf-8" };
    let lines = lines.take_until(watch.lost());
    let body = Body::from_stream(lines.map(move |chunk| {
        Ok::<_, std::convert::Infallible>(chunk.iter().map(|l| written(l, events)).collect::<String>().into())
            .map(|text: Bytes| if chunk.is_empty() { silence(events) } else { text })
    }));
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

fn written(line: &logs::Line, event: bool) -> String {
    if event { format!("id: {}\ndata: {line}\n\n", line.seq) } else { format!("{line}\n") }
}

fn silence(event: bool) -> Bytes {
    Bytes::from_static(if event { b": keep-alive\n\n" } else { b"" })
}

/// Batches of lines: the last ones, and with `tail` all that come. An empty batch says that
/// nothing has come for a while.
async fn lines(
    platform: &Platform,
    app: Uuid,
    params: &api::log_sessions::LogSessionCreate,
    after: Option<u64>,
) -> Result<impl Stream<Item = Vec<logs::Line>> + Send + 'static> {
    let dyno = [&params.dyno, &params.dyno_name, &params.kind].into_iter().flatten().find(|d| !d.is_empty());
    let filter = logs::Filter {
        source: params.source.clone().filter(|s| !s.is_empty()),
        dyno: dyno.cloned(),
        since: params.since,
        until: params.until,
        ..logs::Filter::default()
    };
    let last = after.is_none().then_some(params.lines.unwrap_or(DEFAULT_LINES) as usize);
    let (history, query) =
        (platform.history().clone(), logs::Query { filter: filter.clone(), after, before: None, last });
    let newest = *history.subscribe(app)?.borrow();
    let past = {
        let (history, query) = (history.clone(), query.clone());
        log_lines::read(move || history.read(app, &query)).await?
    };
    // A tail takes up where the past ends.
    let tail = if params.tail == Some(true) { Some(history.tail(app, newest, &filter)?) } else { None };
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        if send_past(past, tail.is_some().then_some(newest), &sender).await.is_some()
            && let Some(tail) = tail
        {
            send_tail(tail, &sender).await;
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Sends the past in batches, so that a hundred thousand lines need the memory of a thousand.
async fn send_past(past: logs::Lines, until: Option<u64>, sender: &mpsc::Sender<Vec<logs::Line>>) -> Option<()> {
    let sender = sender.clone();
    let sent = tokio::task::spawn_blocking(move || {
        let mut past = past.take_while(|l| until.is_none_or(|u| l.seq <= u)).peekable();
        while past.peek().is_some() {
            sender.blocking_send(past.by_ref().take(1000).collect()).ok()?;
        }
        Some(())
    });
    sent.await.ok().flatten()
}

async fn send_tail(mut tail: logs::Tail, sender: &mpsc::Sender<Vec<logs::Line>>) {
    loop {
        match tail.read(1000) {
            Ok(batch) if !batch.is_empty() => {
                if sender.send(batch).await.is_err() {
                    return;
                }
                continue;
            }
            Ok(_) => {}
            Err(err) => return tracing::warn!("could not read a log: {err}"),
        }
        match tokio::time::timeout(KEEP_ALIVE, tail.changed()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) if sender.send(Vec::new()).await.is_err() => return,
            Err(_) => {}
        }
    }
}
