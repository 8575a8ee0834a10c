//! `audit`: the audit log and its verification.

use anyhow::{Result, bail};
use api::{
    client::{Client, query},
    platform::{Event, EventQuery},
};
use chrono::Local;
use clap::Args;
use serde_json::Value;

use crate::{
    context::{AppFlags, Context},
    output::{self, Cell, DIM, Table},
};

/// Filters
#[derive(Args)]
struct Filter {
    #[command(flatten)]
    app: AppFlags,
    /// All apps, ignoring this folder's
    #[arg(long)]
    all: bool,
    /// Part of the actor's email address
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Prefix of the action, e.g. release. or app.create
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Kind of the subject, e.g. team or oauth_client
    #[arg(long, value_name = "KIND")]
    subject_kind: Option<String>,
    /// Id of the subject
    #[arg(long, value_name = "ID")]
    subject_id: Option<String>,
    /// Text in any field
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Since this date or time, e.g. 2026-11-20 or 2026-11-20T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until the end of this date, or before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Filter {
    fn query(self, cx: &Context) -> Result<EventQuery> {
        let app = if self.all { None } else { self.app.app_if_any(cx)? };
        let Self { actor, action, subject_kind, subject_id, text: q, since, until, .. } = self;
        Ok(EventQuery { actor, action, app, subject_kind, subject_id, q, since, until, before: None, max: None })
    }
}

/// Fetches the newest `max` events page by page. Event numbers descend from row to row: if they do
/// not, the platform is repeating itself and would never end.
async fn newest(client: &Client, mut wanted: EventQuery, max: usize, mut each: impl FnMut(Vec<Event>)) -> Result<()> {
    let mut left = max;
    while left > 0 {
        let most = left.min(1000);
        wanted.max = Some(most as i64);
        let page: Vec<Event> = client.list_part(path(&wanted), None).await?;
        let mut before = wanted.before.unwrap_or(i64::MAX);
        for event in &page {
            if event.seq >= before {
                bail!("The platform sent the same events again, so the list is incomplete. Try again.");
            }
            before = event.seq;
        }
        let is_last = page.len() < most;
        wanted.before = Some(before);
        left = left.saturating_sub(page.len());
        each(page);
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Non-administrators see all events of one app.
fn path(wanted: &EventQuery) -> String {
    let EventQuery { actor, action, app, subject_kind, subject_id, q, since, until, .. } = wanted;
    let of_app = [actor, action, subject_kind, subject_id, q, since, until].iter().all(|field| field.is_none());
    match app.as_ref().filter(|_| of_app) {
        Some(app) => {
            let page = EventQuery { app: None, ..wanted.clone() };
            format!("/apps/{}/events{}", api::client::segment(app), query(&page))
        }
        None => format!("/events{}", query(wanted)),
    }
}

/// Shows the audit log, newest first
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    filter: Filter,
    /// Number of events
    #[arg(short, long, default_value_t = 30)]
    num: usize,
}

impl List {
    /// `audit`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        let mut events = Vec::new();
        newest(client, self.filter.query(cx)?, self.num, |page| events.extend(page)).await?;
        if cx.json {
            return output::json(&events);
        }
        let mut table = Table::new(&["When", "Who", "Action", "What"]);
        for event in &events {
            let at = event.at.with_timezone(&Local).format("%Y/%m/%d %H:%M:%S");
            table.row([
                Cell::new(at, DIM),
                (&event.actor).into(),
                Cell::new(&event.action, DIM),
                (&event.summary).into(),
            ]);
        }
        table.print();
        Ok(())
    }
}

/// Exports the audit log as JSON lines, newest first
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    filter: Filter,
}

impl Export {
    /// `audit:export`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        let print = |page: Vec<Event>| {
            for event in page {
                output::print_json(&serde_json::json!(event).to_string());
            }
        };
        newest(client, self.filter.query(cx)?, usize::MAX, print).await
    }
}

/// Checks the audit log for tampering
#[derive(Args)]
pub struct Verify {}

impl Verify {
    /// `audit:verify`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let verdict: Value = cx.client()?.call("GET", "/events/verify".into(), None).await?;
        if cx.json {
            output::json(&verdict)?;
        } else {
            out!("{}", verdict["message"].as_str().unwrap_or_default());
        }
        if verdict["broken_at"].is_null() { Ok(()) } else { bail!("The audit log is not intact.") }
    }
}
