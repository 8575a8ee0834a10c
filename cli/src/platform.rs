//! `doctor`: the health of the platform.

use anyhow::{Result, bail};
use api::{
    jobs::JobState,
    platform::{Check, PlatformInfo},
};
use chrono::Utc;
use clap::Args;

use crate::{
    context::Context,
    output::{self, Cell, GREEN, RED, Table, ago, bytes, heading, paint},
};

/// Checks the health of the platform
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

/// Unfinished or failed jobs, and failures of reconcilers.
fn show_work(info: &PlatformInfo) {
    if !info.jobs.is_empty() {
        out!("");
        let mut table = Table::new(&["Job", "State", "Attempt", "Next", "Error"]);
        for job in &info.jobs {
            table.row([
                (&job.kind).into(),
                job.state.as_str().into(),
                job.attempt.into(),
                ago(job.run_at, Utc::now()).into(),
                Cell::new(job.error.as_deref().unwrap_or_default(), RED),
            ]);
        }
        table.print();
    }
    match info.jobs.iter().filter(|job| job.state == JobState::Failed).count() {
        0 => {}
        failed => out!("\n{failed} of these have failed. See: wharf jobs --state failed, wharf jobs:info ID"),
    }
    for reconciler in &info.reconcilers {
        for failed in &reconciler.failed {
            out!("{} {}: {failed}", paint(RED, "✗"), reconciler.name);
        }
    }
}
