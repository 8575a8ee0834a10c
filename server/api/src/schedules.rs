//! *Wharf:* schedules: jobs that the platform starts at certain times, for administrators.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{JobId, ScheduleId},
    jobs::JobState,
};

/// A schedule. Schedules are built into the platform; only the times of `backups` can be changed, with its policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub name: String,
    /// What its job does, in a sentence.
    pub about: String,
    /// When it runs, in crontab syntax: `17 * * * *`.
    pub cron: String,
    /// The time zone, by its IANA name.
    pub zone: String,
    /// The kind of its jobs.
    pub kind: String,
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_run_at: Option<DateTime<Utc>>,
    /// The job of the last run; absent after a week.
    pub last_job: Option<LastJob>,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastJob {
    pub id: JobId,
    pub state: JobState,
}
