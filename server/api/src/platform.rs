//! *Wharf:* the platform itself: what its machinery does, for the operator and for clients.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `GET /platform`: what is running, and how it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlatformInfo {
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// Where the console and the API are, e.g. `http://localhost:5000`.
    pub url: String,
    pub jobs: Vec<JobInfo>,
    pub reconcilers: Vec<ReconcilerInfo>,
    pub disk: DiskInfo,
    pub checks: Vec<Check>,
}

/// A job: unfinished, or one of the last that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    pub id: Uuid,
    pub kind: String,
    pub subject: Uuid,
    pub state: String,
    pub attempt: i32,
    /// How often the server ended while it ran: after the fifth time it is given up.
    #[serde(default)]
    pub crashes: i32,
    pub run_at: DateTime<Utc>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// A reconciler and what it did last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReconcilerInfo {
    pub name: String,
    pub runs: u64,
    pub last_run_at: Option<DateTime<Utc>>,
    pub duration_ms: u64,
    /// What it did, one line each.
    pub done: Vec<String>,
    /// What it could not do, one line each.
    pub failed: Vec<String>,
}

/// The disk below the data directory. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DiskInfo {
    pub total: u64,
    pub free: u64,
}

/// One thing that was checked: `doctor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// What was found, and what to do when it is not good.
    pub detail: String,
}

/// `GET /events/verify`: whether the audit log is what was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventVerdict {
    /// How many events were read.
    pub events: i64,
    /// The number of the first event that is not what it was, or that is missing.
    pub broken_at: Option<i64>,
    /// What was found, in sentences.
    pub message: String,
    /// What is known of the newest event outside the database; absent where there is no anchor.
    #[serde(default)]
    pub anchor: Option<EventAnchor>,
}

/// The newest event as it is known outside the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventAnchor {
    /// The file.
    pub file: String,
    /// The newest event that it knows.
    pub seq: i64,
    pub at: DateTime<Utc>,
    /// The event with which it began: before it, a removal was not noticed.
    pub since: i64,
}

/// `GET /events`: what was changed, by whom. The audit log, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up over the whole platform.
    pub seq: i64,
    pub at: DateTime<Utc>,
    /// The e-mail address of who did it, or `wharf` for the platform itself.
    pub actor: String,
    /// `release.create`, `config_vars.update`, …
    pub action: String,
    /// What it was done to, e.g. the app's name.
    pub subject: String,
    pub app: Option<Uuid>,
    /// One sentence for people.
    pub summary: String,
    pub data: serde_json::Value,
    /// With which token or session, from which address. Of an app's events this is told to administrators of the
    /// platform, and to everybody about their own.
    #[serde(default)]
    pub credential: Option<String>,
    #[serde(default)]
    pub address: Option<String>,
    /// What the next event holds of this one.
    #[serde(default)]
    pub hash: Option<String>,
}

/// Which events are looked for. What is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventQuery {
    /// A part of the actor's address.
    #[serde(default)]
    pub actor: Option<String>,
    /// How the action begins, `app.` or `app.create`.
    #[serde(default)]
    pub action: Option<String>,
    /// An app, by name or id.
    #[serde(default)]
    pub app: Option<String>,
    /// A part of anything.
    #[serde(default)]
    pub q: Option<String>,
    /// From this time on: `2026-11-20` or `2026-11-20T10:00:00Z`.
    #[serde(default)]
    pub since: Option<String>,
    /// Before this time; of a day, before its end.
    #[serde(default)]
    pub until: Option<String>,
    /// Older than the event with this number.
    #[serde(default)]
    pub before: Option<i64>,
    /// How many, 200 unless told otherwise.
    #[serde(default)]
    pub max: Option<i64>,
}
