//! Dynos: the processes of an app.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{DynoId, ReleaseId},
    log_lines::LogLine,
    named::named,
    refs::Ref,
};

named! {
    /// The state of a dyno.
    ///
    /// ```text
    /// starting ──→ up ──→ down
    ///     └──→ crashed ←──┘
    /// ```
    pub enum DynoState {
        Starting = "starting",
        Up = "up",
        /// Known to Heroku's clients; not in the database, since Wharf never stops a dyno because it is idle.
        Idle = "idle",
        Crashed = "crashed",
        /// Its process has been signalled to stop, or has exited.
        Down = "down",
    }
}

impl DynoState {
    /// Whether its process has exited or has been signalled to stop.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Crashed | Self::Down)
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
    /// *Wharf:* number of starts since its release.
    #[serde(default)]
    pub starts: i32,
    /// *Wharf:* why its last run ended, e.g. "Exited with status 1".
    #[serde(default)]
    pub last_exit: Option<String>,
    /// *Wharf:* when a crashed dyno is restarted.
    #[serde(default)]
    pub next_start_at: Option<DateTime<Utc>>,
    /// *Wharf:* its recent usage; `None` until measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<DynoUsage>,
    /// *Wharf:* its last output, if it has crashed; in an `AppStatus` only, and for callers who may read the
    /// log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<LogLine>,
    /// *Wharf:* the path of the websocket of its terminal, once, in the response that created it; see
    /// [`terminals`](crate::terminals).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_path: Option<String>,
    /// *Wharf:* the exit status of a one-off dyno that has ended, as in a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
}

/// A one-off dyno to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DynoCreate {
    /// Run by bash in /app. If its first word is a process type, that one's command is run in its place.
    #[serde(default)]
    pub command: Option<String>,
    /// Whether the caller is going to attach to it; otherwise its output goes to the app's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<bool>,
    /// Environment variables of this run, in addition to the config vars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// No terminal, but pipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_no_tty: Option<bool>,
    /// The default is that of the process type, or Standard-1X.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Seconds until it is stopped, at most and by default a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<i64>,
    /// The first part of its name; `run` by default.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// *Wharf:* the size of the caller's terminal. Heroku's clients send it in `env`, as `COLUMNS` and `LINES`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// A further process to run in a running dyno, and to attach to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DynoExec {
    /// Run by bash in /app. The default is a shell.
    #[serde(default)]
    pub command: Option<String>,
    /// Environment variables, in addition to the config vars of the dyno's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// No terminal, but pipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_no_tty: Option<bool>,
    /// *Wharf:* the size of the caller's terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// The size of a terminal window, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub columns: u16,
    pub rows: u16,
}

/// The usage of a dyno in the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynoUsage {
    /// Bytes.
    pub memory: u64,
    /// Memory limit in bytes.
    pub memory_quota: u64,
    /// Mean cores: 0.25 is a quarter of one.
    pub cpu: f64,
}

/// The release of a dyno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynoRelease {
    pub id: ReleaseId,
    pub version: i32,
}

/// A dyno size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynoSize {
    pub id: uuid::Uuid,
    /// `Standard-1X`
    pub name: String,
    /// GB, as in Heroku's API.
    pub memory: f64,
    /// CPU share.
    pub compute: i32,
    pub dedicated: bool,
    pub precise_dyno_units: f64,
    pub cost: Option<serde_json::Value>,
    pub architecture: String,
    pub private_space_only: bool,
}
