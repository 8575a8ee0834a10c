//! *Wharf:* jobs: the platform's background work, for administrators.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::named::named;

named! {
    /// The state of a job.
    pub enum JobState {
        /// Due now or at `run_at`, for the first time or again.
        Pending = "pending",
        /// Waiting for something, without holding a worker, until `run_at` at the latest. Not in the database, where
        /// such a job is pending.
        Waiting = "waiting",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// Whether it has ended.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: Uuid,
    /// `builds.run`, `retention.run`, …
    pub kind: String,
    /// The id of what it works for; all zeros for the platform as a whole.
    pub subject: Uuid,
    /// A readable name for it: `build 3 of dusk`. Absent if it no longer exists.
    pub about: Option<String>,
    /// The schedule that enqueued it.
    pub schedule: Option<String>,
    pub state: JobState,
    /// Its progress, between 0 and 1, if it reports any.
    pub progress: Option<f64>,
    /// A description of what it is doing.
    pub note: Option<String>,
    /// What it waits for.
    pub waits_for: Option<String>,
    /// How often it was started. Resuming after a wait does not count.
    pub attempt: i32,
    /// How often the server died while it ran: after the fifth time it is given up.
    pub crashes: i32,
    /// When it is, or was, due.
    pub run_at: DateTime<Utc>,
    /// Why it failed, or failed the last time.
    pub error: Option<String>,
    /// Whether it can be cancelled now.
    pub can_cancel: bool,
    /// If not, the reason, and what to do instead.
    pub cancel_advice: Option<String>,
    /// When somebody asked for it to be cancelled.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// When it was first started.
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// The finished steps, in order. Only in the response about one job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<JobStep>,
}

/// A finished step: it will not run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobStep {
    pub name: String,
    pub finished_at: DateTime<Utc>,
}

/// A filter for jobs. Absent fields match everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobQuery {
    /// A state, or `unfinished`.
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    pub kind: Option<String>,
}
