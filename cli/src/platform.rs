//! `doctor` and `events`: how the platform is, and what was done to it.

use anyhow::{Result, bail};
use api::{
    client::{Client, segment},
    platform::{Check, Event, PlatformInfo},
};
use chrono::{Local, Utc};
use clap::Args;
use serde_json::Value;

use crate::{
    context::{AppFlags, Context},
    output::{self, Cell, DIM, GREEN, RED, Table, ago, bytes, heading, paint},
};

/// Checks the platform and says what is not well
#[derive(Args)]
pub struct Doctor {}

impl Doctor {
    /// `doctor`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let info = cx.client()?.platform_info().await?;
        if cx.json {
            output::json(&info)?;
        } else {
            heading(format!("Wharf {} at {}", info.version, info.url));
            out!(
                "Running since {}, {} of {} disk free\n",
                ago(info.started_at, Utc::now()).replace(" ago", ""),
                bytes(info.disk.free),
                bytes(info.disk.total)
            );
            info.checks.iter().for_each(show_check);
            show_work(&info);
        }
        match info.checks.iter().filter(|check| !check.ok).count() {
            0 => Ok(()),
            1 => bail!("1 check failed."),
            n => bail!("{n} checks failed."),
        }
    }
}

fn show_check(check: &Check) {
    let mark = if check.ok { paint(GREEN, "✓") } else { paint(RED, "✗") };
    out!("{mark} {}: {}", check.name, check.detail);
}

/// Jobs that are unfinished or failed, and what reconcilers could not do.
fn show_work(info: &PlatformInfo) {
    if !info.jobs.is_empty() {
        out!("");
        let mut table = Table::new(&["Job", "State", "Attempt", "Next", "Error"]);
        for job in &info.jobs {
            table.row([
                (&job.kind).into(),
                (&job.state).into(),
                job.attempt.into(),
                ago(job.run_at, Utc::now()).into(),
                Cell::new(job.error.as_deref().unwrap_or_default(), RED),
            ]);
        }
        table.print();
    }
    for reconciler in &info.reconcilers {
        for failed in &reconciler.failed {
            out!("{} {}: {failed}", paint(RED, "✗"), reconciler.name);
        }
    }
}

/// Checks that nobody changed the record of who changed what
#[derive(Args)]
pub struct Verify {}

impl Verify {
    /// `events:verify`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let verdict: Value = cx.client()?.call("GET", "/events/verify".into(), None).await?;
        if cx.json {
            output::json(&verdict)?;
        } else {
            out!("{}", verdict["message"].as_str().unwrap_or_default());
        }
        if verdict["broken_at"].is_null() { Ok(()) } else { bail!("The record cannot be trusted.") }
    }
}

/// The newest `max` events, page by page.
async fn newest(client: &Client, path: &str, max: usize) -> Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    while events.len() < max {
        let wanted = (max - events.len()).min(1000);
        let before = events.last().map(|event| format!("&before={}", event.seq)).unwrap_or_default();
        let page: Vec<Event> = client.list(format!("{path}?max={wanted}{before}"), None, false).await?;
        let is_last = page.len() < wanted;
        events.extend(page);
        if is_last {
            break;
        }
    }
    Ok(events)
}

/// Shows who changed what, newest first
#[derive(Args)]
pub struct Events {
    #[command(flatten)]
    app: AppFlags,
    /// Of all apps, whatever folder this is
    #[arg(long)]
    all: bool,
    /// How many
    #[arg(short, long, default_value_t = 30)]
    num: usize,
}

impl Events {
    /// `events`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        let app = if self.all { None } else { self.app.app_if_any(cx)? };
        let path = app.map_or("/events".into(), |app| format!("/apps/{}/events", segment(&app)));
        let events = newest(client, &path, self.num).await?;
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
