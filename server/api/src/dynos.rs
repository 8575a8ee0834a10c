//! Dynos: processes that run, or should.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::DynoId, log_lines::LogLine, refs::Ref};

/// What a dyno does at the moment.
///
/// ```text
/// starting ──→ up ──→ down
///     └──→ crashed ←──┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DynoState {
    Starting,
    Up,
    Idle,
    Crashed,
    Down,
}

impl DynoState {
    /// The word on the wire, in the log and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Idle => "idle",
            Self::Crashed => "crashed",
            Self::Down => "down",
        }
    }
}

/// A dyno of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dyno {
    pub id: DynoId,
    /// `web.1`
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub size: String,
    pub state: DynoState,
    pub command: String,
    pub attach_url: Option<String>,
    pub app: Ref,
    pub release: DynoRelease,
    pub created_at: DateTime<Utc>,
    /// When `state` last changed.
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* how often it was started since its release.
    #[serde(default)]
    pub starts: i32,
    /// *Wharf:* why the last run of it ended, e.g. "Exited with status 1".
    #[serde(default)]
    pub last_exit: Option<String>,
    /// *Wharf:* when a crashed dyno is started again.
    #[serde(default)]
    pub next_start_at: Option<DateTime<Utc>>,
    /// *Wharf:* what it used lately; `None` until it has been measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<DynoUsage>,
    /// *Wharf:* the last it said, when it has crashed; in an `AppStatus` only, and for who may read the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<LogLine>,
}

/// What a dyno used in the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynoUsage {
    /// Bytes.
    pub memory: u64,
    /// Bytes that it may use.
    pub memory_quota: u64,
    /// Cores, mean: 0.25 is a quarter of one.
    pub cpu: f64,
}

/// The release that a dyno runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynoRelease {
    pub id: uuid::Uuid,
    pub version: i32,
}

/// How big a dyno may get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynoSize {
    pub id: uuid::Uuid,
    /// `Standard-1X`
    pub name: String,
    /// GB, as Heroku gives it.
    pub memory: f64,
    /// CPU share.
    pub compute: i32,
    pub dedicated: bool,
    pub precise_dyno_units: f64,
    pub cost: Option<serde_json::Value>,
    pub architecture: String,
    pub private_space_only: bool,
}
