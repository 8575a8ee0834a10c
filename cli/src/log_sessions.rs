//! `logs`: an app's log history and tail.

use std::time::Duration;

use anyhow::{Result, bail};
use api::{Error, client::Client, log_sessions::LogSessionCreate};
use chrono::Utc;
use clap::Args;
use http_body_util::BodyExt;
use tokio::time::{sleep, timeout};

use crate::{
    context::{AppFlags, Context},
    events::Events,
    lines::Printer,
    output, transport, when,
};

/// Lines by default.
const LINES: u32 = 100;
/// Lines when a start time is given: all of them.
const ALL_LINES: u32 = 10_000_000;
/// A tail sends something at least this often, if only a comment. Otherwise the connection is dead.
const SILENCE: Duration = Duration::from_secs(90);
/// How often a log without --tail is resumed after a disconnect.
const TRIES: u32 = 5;

/// Shows the log of an app
///
/// Without --tail it ends after the newest line; with it, it begins with the newest lines. Times are
/// durations before now (10m, 2h, 1d), dates (2026-01-31, "2026-01-31 18:00") or RFC 3339.
#[derive(Args)]
pub struct Logs {
    #[command(flatten)]
    app: AppFlags,
    /// Keep showing new lines
    #[arg(short, long)]
    tail: bool,
    /// Number of lines [default: 100, or all since the given time]
    #[arg(short, long)]
    num: Option<u32>,
    /// Only lines since this time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines before this time
    #[arg(long, value_name = "TIME", conflicts_with = "tail")]
    until: Option<String>,
    /// Only lines of the app itself (app) or of the platform (heroku)
    #[arg(short, long)]
    source: Option<String>,
    /// Only lines of this dyno, e.g. web.1 or router
    #[arg(short, long, visible_alias = "dyno-name", alias = "ps", value_name = "DYNO")]
    dyno: Option<String>,
    /// Only lines of this process type, e.g. web
    #[arg(short, long, value_name = "TYPE", conflicts_with = "dyno")]
    process_type: Option<String>,
    /// Only lines that contain this text, in any case
    #[arg(short, long, value_name = "TEXT")]
    grep: Option<String>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "PATTERN", conflicts_with = "grep")]
    regex: Option<String>,
    /// Use colours even if stdout is not a terminal
    #[arg(long)]
    force_colors: bool,
}

/// How a stream ended.
enum End {
    /// Closed by the server: complete.
    Closed,
    /// The session has expired.
    Expired,
    /// The connection broke.
    Broke(Error),
}

impl Logs {
    /// `logs`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let create = self.session()?;
        let name = self.app.app(cx)?;
        let mut printer = Printer::new(cx.json, self.force_colors || output::is_coloured());
        let client = cx.client()?;
        if self.tail {
            tail(client, &name, &create, &mut printer).await
        } else {
            history(client, &name, &create, &mut printer).await
        }
    }

    fn session(&self) -> Result<LogSessionCreate> {
        let now = Utc::now();
        let time = |text: &Option<String>| text.as_deref().map(|t| when::parse(t, now)).transpose();
        let (since, until) = (time(&self.since)?, time(&self.until)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            bail!("--since must be before --until.");
        }
        let usual = if since.is_some() { ALL_LINES } else { LINES };
        Ok(LogSessionCreate {
            dyno: self.dyno.clone().or_else(|| self.process_type.clone()),
            source: self.source.clone(),
            lines: Some(self.num.unwrap_or(usual)),
            tail: Some(self.tail),
            since,
            until,
            text: self.grep.clone(),
            regex: self.regex.clone(),
            ..Default::default()
        })
    }
}

async fn history(client: &Client, app: &str, create: &LogSessionCreate, printer: &mut Printer) -> Result<()> {
    let session = client.log_session_create(app, create).await?;
    let mut events = Events::default();
    for _ in 0..TRIES {
        match read(&session.logplex_url, &mut events, printer, false).await? {
            End::Closed => return Ok(()),
            End::Expired => bail!("The log session has expired. Try again."),
            End::Broke(_) => sleep(Duration::from_secs(1)).await,
        }
    }
    bail!("The log was disconnected {TRIES} times. Try again.")
}

/// Tails the log until interrupted. Reconnects resume after the last line shown.
async fn tail(client: &Client, app: &str, create: &LogSessionCreate, printer: &mut Printer) -> Result<()> {
    let mut session = client.log_session_create(app, create).await?;
    let mut events = Events::default();
    let mut wait = Duration::from_secs(1);
    loop {
        let shown = printer.count();
        let end = read(&session.logplex_url, &mut events, printer, true).await?;
        if printer.count() > shown {
            wait = Duration::from_secs(1);
        }
        if let End::Broke(err) = &end
            && err.status == 0
            && wait.as_secs() == 4
        {
            output::note(format!("{err} Retrying."));
        }
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(10));
        if matches!(end, End::Expired) {
            match client.log_session_create(app, create).await {
                Ok(new) => session = new,
                Err(err) if err.status == 0 || err.status >= 500 => {}
                Err(err) => return Err(err.into()),
            }
        }
    }
}

/// Reads a session's stream to its end, starting after the last event seen.
async fn read(url: &str, events: &mut Events, printer: &mut Printer, tail: bool) -> Result<End, Error> {
    events.restart();
    let mut headers = vec![("accept", "text/event-stream".to_owned())];
    if let Some(id) = &events.last_id {
        headers.push(("last-event-id", id.clone()));
    }
    let response = match transport::open(url, &headers).await {
        Ok(response) => response,
        // An error on the first try is reported; later it may be temporary.
        Err(err) if events.last_id.is_none() && !tail => return Err(err),
        Err(err) => return Ok(End::Broke(err)),
    };
    match response.status().as_u16() {
        200 => {}
        403 | 404 | 410 => return Ok(End::Expired),
        status @ 500.. => {
            return Ok(End::Broke(Error::unreadable(status, format!("The log stream returned status {status}."))));
        }
        status => {
            return Err(Error::unreadable(status, format!("The log cannot be read: status {status}.")));
        }
    }
    let mut body = response.into_body();
    loop {
        let silence = if tail { SILENCE } else { Duration::from_secs(3600) };
        let frame = match timeout(silence, body.frame()).await {
            Ok(None) => return Ok(End::Closed),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(err))) => {
                return Ok(End::Broke(Error::unreachable(format!("The connection was lost: {err}."))));
            }
            Err(_) => {
                return Ok(End::Broke(Error::unreachable("The platform has stopped responding.")));
            }
        };
        if let Some(bytes) = frame.data_ref() {
            events.feed(bytes, |data, id| printer.take(data, id));
            printer.flush();
        }
    }
}
