//! *Wharf:* the state of the platform, for administrators and clients.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::jobs::JobState;

/// `GET /platform`: what is running, and its health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlatformInfo {
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// The URL of console and API, e.g. `http://localhost:5000`.
    pub url: String,
    pub jobs: Vec<JobInfo>,
    /// When a job or a schedule last changed.
    #[serde(default)]
    pub jobs_changed_at: Option<DateTime<Utc>>,
    pub reconcilers: Vec<ReconcilerInfo>,
    pub disk: DiskInfo,
    pub checks: Vec<Check>,
}

/// A job: unfinished, or recently failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    pub id: Uuid,
    pub kind: String,
    pub subject: Uuid,
    pub state: JobState,
    pub attempt: i32,
    /// How often the server died while it ran: after the fifth time it is given up.
    #[serde(default)]
    pub crashes: i32,
    pub run_at: DateTime<Utc>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// A reconciler and its last run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReconcilerInfo {
    pub name: String,
    pub runs: u64,
    pub last_run_at: Option<DateTime<Utc>>,
    pub duration_ms: u64,
    /// What it did, one line each.
    pub done: Vec<String>,
    /// What failed, one line each.
    pub failed: Vec<String>,
}

/// The disk of the data directory. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DiskInfo {
    pub total: u64,
    pub free: u64,
}

/// One check of `doctor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// The result, and how to fix a failure.
    pub detail: String,
}

/// `GET /events/verify`: whether the audit log is intact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventVerdict {
    /// The number of events read.
    pub events: i64,
    /// The number of the first event that was changed or is missing.
    pub broken_at: Option<i64>,
    /// The result, in sentences.
    pub message: String,
    /// The newest event as recorded outside the database; absent without an anchor.
    #[serde(default)]
    pub anchor: Option<EventAnchor>,
}

/// The newest event as recorded outside the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventAnchor {
    /// The file.
    pub file: String,
    /// The newest event in it.
    pub seq: i64,
    pub at: DateTime<Utc>,
    /// The event at which it was created: removals before that are not detected.
    pub since: i64,
}

/// `GET /events`: the audit log, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Sequence number across the platform.
    pub seq: i64,
    pub at: DateTime<Utc>,
    /// The email address of the actor, or `wharf` for the platform itself.
    pub actor: String,
    /// `release.create`, `config_vars.update`, …
    pub action: String,
    /// The subject, e.g. the app's name.
    pub subject: String,
    /// What the subject is: a name of [`crate::subjects::SubjectKind`]. Absent in old events of other things than apps.
    #[serde(default)]
    pub subject_kind: Option<String>,
    /// The id of the subject, if it has one. Unlike its name, it never changes.
    #[serde(default)]
    pub subject_id: Option<Uuid>,
    pub app: Option<Uuid>,
    /// One human-readable sentence.
    pub summary: String,
    pub data: serde_json::Value,
    /// The token or session, and the client address. For an app's events, visible to administrators of the platform;
    /// users see it for their own events.
    #[serde(default)]
    pub credential: Option<String>,
    #[serde(default)]
    pub address: Option<String>,
    /// The hash that the next event includes.
    #[serde(default)]
    pub hash: Option<String>,
}

/// An event as a line of an app's overview. The omitted fields are not needed there, so its page need not load the code
/// to parse them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventLine {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub summary: String,
}

/// A filter for events. Absent fields match everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventQuery {
    /// Part of the actor's address.
    #[serde(default)]
    pub actor: Option<String>,
    /// Prefix of the action, `app.` or `app.create`.
    #[serde(default)]
    pub action: Option<String>,
    /// An app, by name or id.
    #[serde(default)]
    pub app: Option<String>,
    /// The kind of the subject: `app`, `team`, …
    #[serde(default)]
    pub subject_kind: Option<String>,
    /// The id of the subject.
    #[serde(default)]
    pub subject_id: Option<String>,
    /// Text in any field.
    #[serde(default)]
    pub q: Option<String>,
    /// Since this time: `2026-11-20` or `2026-11-20T10:00:00Z`.
    #[serde(default)]
    pub since: Option<String>,
    /// Before this time; for a date, before its end.
    #[serde(default)]
    pub until: Option<String>,
    /// Older than the event with this number.
    #[serde(default)]
    pub before: Option<i64>,
    /// Maximum number, 200 by default.
    #[serde(default)]
    pub max: Option<i64>,
}
