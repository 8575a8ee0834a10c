//! `jobs`: the platform's background work, for administrators.

use anyhow::Result;
use api::{
    client::query,
    jobs::{Job, JobQuery, JobState},
};
use chrono::Utc;
use clap::Args;

use crate::{
    context::Context,
    output::{self, Action, Cell, DIM, GREEN, RED, Table, YELLOW, ago, heading, moment},
};

/// Lists the platform's jobs, newest first (administrators only)
#[derive(Args)]
pub struct List {
    /// Only jobs in this state: unfinished, pending, waiting, running, succeeded, failed or cancelled
    #[arg(short, long, value_name = "STATE")]
    state: Option<String>,
    /// Only jobs of this kind, e.g. builds.run
    #[arg(short, long, value_name = "KIND")]
    kind: Option<String>,
    /// Number of jobs
    #[arg(short, long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1000))]
    num: u16,
}

impl List {
    /// `jobs`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let filter = JobQuery { state: self.state, kind: self.kind };
        let range = format!("id ..; max={}, order=desc", self.num);
        let jobs: Vec<Job> = cx.client()?.list_part(format!("/jobs{}", query(&filter)), Some(range)).await?;
        if cx.json {
            return output::json(&jobs);
        }
        if jobs.is_empty() {
            out!("No jobs match.");
            return Ok(());
        }
        let mut table = Table::new(&["Job", "For", "State", "Attempt", "Created", "Id", ""]);
        for job in &jobs {
            table.row([
                (&job.kind).into(),
                about(job).into(),
                Cell::new(state(job), colour(job.state)),
                job.attempt.into(),
                Cell::new(ago(job.created_at, Utc::now()), DIM),
                Cell::new(job.id, DIM),
                Cell::new(job.error.as_deref().unwrap_or_default(), RED),
            ]);
        }
        table.print();
        Ok(())
    }
}

/// The subject of a job.
fn about(job: &Job) -> String {
    job.about.clone().unwrap_or_else(|| job.subject.to_string())
}

/// The state of a job, with details.
fn state(job: &Job) -> String {
    let mut text = job.state.as_str().to_owned();
    match job.state {
        JobState::Waiting => text += &job.waits_for.as_ref().map(|what| format!(" for {what}")).unwrap_or_default(),
        JobState::Running => text += &job.progress.map(|p| format!(" {:.0} %", p * 100.0)).unwrap_or_default(),
        JobState::Pending if job.run_at > Utc::now() => text = format!("{text}, {}", ago(job.run_at, Utc::now())),
        _ => {}
    }
    if job.cancel_requested_at.is_some() && !job.state.has_ended() {
        text += ", being cancelled";
    }
    text
}

fn colour(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => GREEN,
        JobState::Failed => RED,
        JobState::Running => YELLOW,
        JobState::Pending | JobState::Waiting | JobState::Cancelled | JobState::Unknown => DIM,
    }
}

/// Shows one job with its steps
#[derive(Args)]
pub struct Info {
    /// Id of the job
    job: String,
}

impl Info {
    /// `jobs:info`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let job = cx.client()?.job_info(&self.job).await?;
        if cx.json {
            return output::json(&job);
        }
        heading(&job.kind);
        let time = |at: Option<chrono::DateTime<Utc>>| at.map(moment).unwrap_or_default();
        output::pairs(&[
            ("For", about(&job)),
            ("State", state(&job)),
            ("Progress", job.note.clone().filter(|_| !job.state.has_ended()).unwrap_or_default()),
            ("Error", job.error.clone().unwrap_or_default()),
            ("Attempt", job.attempt.to_string()),
            ("Crashes", Some(job.crashes).filter(|n| *n > 0).map(|n| n.to_string()).unwrap_or_default()),
            ("Schedule", job.schedule.clone().unwrap_or_default()),
            ("Created", moment(job.created_at)),
            ("Started", time(job.started_at)),
            ("Ended", time(job.finished_at)),
            ("Cancel", job.cancel_advice.clone().unwrap_or_default()),
            ("Id", job.id.to_string()),
        ]);
        if !job.steps.is_empty() {
            out!("");
            let mut table = Table::new(&["Finished step", "When"]);
            for step in &job.steps {
                table.row([(&step.name).into(), Cell::new(ago(step.finished_at, Utc::now()), DIM)]);
            }
            table.print();
        }
        Ok(())
    }
}

/// Cancels a job that has not ended
#[derive(Args)]
pub struct Cancel {
    /// Id of the job
    job: String,
}

impl Cancel {
    /// `jobs:cancel`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start(format!("Cancelling job {}", self.job));
        let job = cx.client()?.job_cancel(&self.job).await?;
        action.done_with(match job.state {
            JobState::Running => "it stops within seconds",
            _ => "",
        });
        if cx.json { output::json(&job) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_include_details() {
        let (id, now) = ("0b9a1c1e-0000-7000-8000-000000000000", Utc::now());
        let job: Job = serde_json::from_value(serde_json::json!({
            "id": id, "kind": "x", "subject": id, "state": "running", "progress": 0.256, "waits_for": "a slot",
            "attempt": 1, "crashes": 0, "run_at": now, "can_cancel": true, "created_at": now
        }))
        .unwrap();
        assert_eq!(state(&job), "running 26 %");
        assert_eq!(state(&Job { state: JobState::Waiting, ..job.clone() }), "waiting for a slot");
        let cancelled = Job { cancel_requested_at: Some(Utc::now()), ..job.clone() };
        assert_eq!(state(&cancelled), "running 26 %, being cancelled");
        assert_eq!(state(&Job { state: JobState::Cancelled, ..cancelled }), "cancelled");
        let later = Utc::now() + chrono::Duration::seconds(7230);
        assert_eq!(state(&Job { state: JobState::Pending, run_at: later, ..job }), "pending, in 2h");
    }
}
