//! `schedules`: jobs that the platform starts at certain times, for administrators.

use anyhow::Result;
use api::{jobs::JobState, schedules::Schedule};
use chrono::Utc;
use clap::Args;

use crate::{
    context::Context,
    output::{self, Action, Cell, DIM, RED, Table, ago},
};

/// Lists the platform's schedules with their last and next run (administrators only)
#[derive(Args)]
pub struct List {}

impl List {
    /// `schedules`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let schedules: Vec<Schedule> = cx.client()?.list("/schedules".into(), None).await?;
        if cx.json {
            return output::json(&schedules);
        }
        let mut table = Table::new(&["Schedule", "When", "Time zone", "Next run", "Last run", ""]);
        for schedule in &schedules {
            let time = |at: Option<chrono::DateTime<Utc>>| at.map_or("never".into(), |at| ago(at, Utc::now()));
            let last = match &schedule.last_job {
                Some(job) => format!("{}, {}", time(schedule.last_run_at), job.state.as_str()),
                None => time(schedule.last_run_at),
            };
            let failed = schedule.last_job.as_ref().is_some_and(|job| job.state == JobState::Failed);
            table.row([
                (&schedule.name).into(),
                (&schedule.cron).into(),
                (&schedule.zone).into(),
                time(schedule.next_run_at).into(),
                Cell::new(last, if failed { RED } else { output::NONE }),
                Cell::new(&schedule.about, DIM),
            ]);
        }
        table.print();
        Ok(())
    }
}

/// Runs the job of a schedule now
#[derive(Args)]
pub struct Run {
    /// Name of the schedule
    schedule: String,
}

impl Run {
    /// `schedules:run`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start(format!("Running {}", self.schedule));
        let job = cx.client()?.schedule_run(&self.schedule).await?;
        action.done_with(format!("job {}", job.id));
        if cx.json { output::json(&job) } else { Ok(()) }
    }
}
