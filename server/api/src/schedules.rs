//! *Wharf:* schedules: jobs that the platform starts at certain times, for administrators.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{JobId, ScheduleId},
    jobs::JobState,
};

/// A schedule. The platform comes with its schedules; they cannot be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub name: String,
    /// What its job does, in a sentence.
    pub about: String,
    /// When, as in crontab: `17 * * * *`.
    pub cron: String,
    /// In which time zone, by its IANA name.
    pub zone: String,
    /// The kind of its jobs.
    pub kind: String,
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_run_at: Option<DateTime<Utc>>,
    /// The job of the last run; absent after a week.
    pub last_job: Option<LastJob>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastJob {
    pub id: JobId,
    pub state: JobState,
}
