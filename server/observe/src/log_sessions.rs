//! Log sessions: URLs for reading and following an app's log without credentials.

use std::time::Duration;

use api::ids::{AccountId, AppId, LogSessionId};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base::{
    Error, Result,
    web::{self, Created, Input},
};
use chrono::Utc;
use futures::{Stream, StreamExt as _};
use identity::{Actor, Can, payers, row_limits, signed_urls, watch::Watch};
use platform::{Platform, log_lines};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::lines;

/// The validity of an unopened session.
const LIFE: i64 = 360;
const DEFAULT_LINES: u32 = 100;
/// The maximum number of past lines.
const MOST_LINES: usize = 100_000;
/// Lines per turn, which fit into a batch.
const BATCH: usize = 1000;
/// Batches in the buffer of a reader, besides the one that is read and the one that is written.
const WAITING: usize = 2;
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
    // What is wrong with a filter is an error of this request, and not of the stream.
    platform.history().tail(app.id, 0, &filter(&create)).map_err(log_lines::refused)?;
    let (id, now) = (LogSessionId::now_v7(), Utc::now());
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
    let (db, most) = (platform.db(), row_limits::MOST_KEPT);
    store::log_sessions::log_session_trim(db, app.id, actor.account.id, most).await?;
    let logplex_url = format!("{}/streams/logs/{}", actor.origin, platform.secrets().sign("log session", id));
    Ok(Created(api::log_sessions::LogSession { id, logplex_url, created_at: now, updated_at: now }))
}

/// `GET /streams/logs/{secret}`: lines of text, or events if the client requests them.
pub async fn log_session_stream(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let missing = || Error::not_found("log_session", "Couldn't find that log session. It may have expired.");
    let id = platform.secrets().signed("log session", &secret).map(LogSessionId).ok_or_else(missing)?;
    let row = store::log_sessions::log_session_open(platform.db(), id, Utc::now()).await?.ok_or_else(missing)?;
    let reader = row.account_id.ok_or_else(missing)?;
    let _reading = signed_urls::begin(&platform, reader).await?;
    let watch = Watch::begin(&platform, reader, row.credential_id, row.app_id, Can::Logs).await?.ok_or_else(missing)?;
    let payer = payers::of_account(&platform, reader).await?;
    let slot = platform.streams().try_take(payer)?;
    let params: api::log_sessions::LogSessionCreate = serde_json::from_value(row.params).map_err(anyhow::Error::new)?;
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let events = text("accept").is_some_and(|a| a.contains("text/event-stream"));
    let after: Option<u64> = text("last-event-id").and_then(|id| id.parse().ok());
    let lines = lines(&platform, (payer, row.app_id), &params, after).await?;
    let kind = if events { "text/event-stream" } else { "text/plain; charset=utf-8" };
    let lines = lines.take_until(watch.lost().holding(slot));
    let body = Body::from_stream(lines.map(move |chunk| {
        Ok::<_, std::convert::Infallible>(chunk.iter().map(|l| written(l, events)).collect::<String>().into())
            .map(|text: Bytes| if chunk.is_empty() { silence(events) } else { text })
    }));
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

fn written(line: &logs::Line, event: bool) -> String {
    if event { web::event(line.seq, &line.to_string()) } else { format!("{line}\n") }
}

fn silence(event: bool) -> Bytes {
    Bytes::from_static(if event { b": keep-alive\n\n" } else { b"" })
}

fn filter(params: &api::log_sessions::LogSessionCreate) -> logs::Filter {
    let dyno = [&params.dyno, &params.dyno_name, &params.kind].into_iter().flatten().find(|d| !d.is_empty());
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    logs::Filter {
        source: given(&params.source),
        dyno: dyno.cloned(),
        text: given(&params.text),
        regex: given(&params.regex),
        since: params.since,
        until: params.until,
        ..logs::Filter::default()
    }
}

/// Batches of lines: the last ones, and with `tail` all new ones. An empty batch is a keep-alive.
async fn lines(
    platform: &Platform,
    (payer, app): (AccountId, AppId),
    params: &api::log_sessions::LogSessionCreate,
    after: Option<u64>,
) -> Result<impl Stream<Item = Vec<logs::Line>> + Send + 'static> {
    let filter = filter(params);
    let last = after.is_none().then_some((params.lines.unwrap_or(DEFAULT_LINES) as usize).min(MOST_LINES));
    let history = platform.history().clone();
    let query = logs::Query { filter: filter.clone(), after, last, ..logs::Query::default() };
    let newest = *history.subscribe(app).map_err(log_lines::refused)?.borrow();
    let past = {
        let history = history.clone();
        let find = move |budget: &logs::Budget| history.read(app, &logs::Query { budget: budget.clone(), ..query });
        log_lines::search(platform, payer, find).await?
    };
    // A tail continues after the last past line.
    let tail = if params.tail == Some(true) {
        Some(history.tail(app, newest, &filter).map_err(log_lines::refused)?)
    } else {
        None
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let sending = Sending { platform: platform.clone(), payer, sender };
    tokio::spawn(async move {
        let (gone, until) = (sending.sender.clone(), tail.is_some().then_some(newest));
        let sent = async {
            sending.past(past, until).await?;
            match tail {
                Some(tail) => sending.tail(tail).await,
                None => Ok(()),
            }
        };
        // A search that finds nothing notices by itself that the client has disconnected.
        tokio::select! {
            () = gone.closed() => {}
            sent = sent => if let Err(err) = sent { tracing::warn!("could not read a log: {err}") },
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Sends a log to one reader in turns, so that other readers proceed in between and a slow one occupies no thread.
struct Sending {
    platform: Platform,
    payer: AccountId,
    sender: mpsc::Sender<Vec<logs::Line>>,
}

impl Sending {
    /// Past lines, in batches, so that a hundred thousand lines need the memory of a thousand.
    async fn past(&self, mut past: logs::Lines, until: Option<u64>) -> Result<()> {
        loop {
            let turn = move |budget: &logs::Budget| {
                past.go_on(budget.clone());
                let (batch, is_over) = lines::take(&mut past, BATCH, until);
                Ok((past, batch, is_over))
            };
            let (back, batch, is_over) = log_lines::search(&self.platform, self.payer, turn).await?;
            past = back;
            if !batch.is_empty() && self.sender.send(batch).await.is_err() || is_over {
                return Ok(());
            }
        }
    }

    /// New lines, until the log is deleted.
    async fn tail(&self, mut tail: logs::Tail) -> Result<()> {
        loop {
            let lag = tail.lag();
            let turn = move |budget: &logs::Budget| {
                let batch = tail.read(BATCH, budget)?;
                Ok((tail, batch))
            };
            let (back, batch) = log_lines::read_on(&self.platform, self.payer, lag, turn).await?;
            tail = back;
            if !batch.is_empty() {
                if self.sender.send(batch).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            match tokio::time::timeout(KEEP_ALIVE, tail.changed()).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(_) if self.sender.send(Vec::new()).await.is_err() => return Ok(()),
                Err(_) => {}
            }
        }
    }
}
