//! *Wharf:* an app at a glance: what the console shows without asking ten times.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{apps::App, builds::Build, dynos::Dyno, formation::Formation, releases::Release};

/// One word for how an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing was ever deployed.
    Empty,
    /// A build or a rollout is under way and nothing is wrong.
    Changing,
    /// Every wanted dyno is up.
    Up,
    /// Some wanted dynos are not up.
    Degraded,
    /// The newest release crashes at its start, and the one before it goes on serving.
    Held,
    /// No web dyno is up though one is wanted.
    Crashed,
    /// Scaled to zero.
    Off,
    /// The owner switched maintenance mode on.
    Maintenance,
}

/// `GET /app-statuses`: a row of the list of apps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppSummary {
    pub id: crate::ids::AppId,
    pub name: String,
    pub condition: Condition,
    /// One short sentence that says more: "web.1 exited with status 1 · next try in 4 s".
    pub detail: String,
    pub web_url: String,
    pub dynos_up: i32,
    pub dynos_wanted: i32,
    pub release: Option<ReleaseSummary>,
    /// The build that runs now.
    pub build: Option<uuid::Uuid>,
    /// Requests of the last hour in stretches of two minutes, oldest first, for a sparkline; empty when not measured.
    #[serde(default)]
    pub traffic: Vec<u64>,
    /// How many of them ended with a status of 500 or more.
    #[serde(default)]
    pub failed: u64,
    /// Milliseconds that 95 % of them did not exceed; `None` without any.
    #[serde(default)]
    pub p95_ms: Option<f64>,
    pub owner: String,
    pub created_at: DateTime<Utc>,
}

/// The latest release in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseSummary {
    pub version: i32,
    pub description: String,
    /// The first line of what its commit says, if it was built from one.
    #[serde(default)]
    pub message: Option<String>,
    pub status: crate::releases::ReleaseStatus,
    pub user: String,
    pub created_at: DateTime<Utc>,
}

/// A release that visitors do not get, because its dynos crash at their start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldRelease {
    pub version: i32,
    /// The release that serves in its place.
    pub serving: i32,
    /// One of its dynos that crashes: `web.1`.
    pub dyno: String,
    /// How that one ended last: "Process exited with status 1".
    pub last_exit: Option<String>,
    /// When that one is started again; `None` while it is starting.
    #[serde(default)]
    pub next_start_at: Option<DateTime<Utc>>,
}

/// `GET /apps/{app}/status`: everything that the overview of an app shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    pub app: App,
    pub condition: Condition,
    pub detail: String,
    pub formation: Vec<Formation>,
    pub dynos: Vec<Dyno>,
    /// Set while the newest release does not come up and an older one serves.
    #[serde(default)]
    pub held: Option<HeldRelease>,
    /// The newest first, at most ten.
    pub releases: Vec<Release>,
    /// The newest first, at most five.
    pub builds: Vec<Build>,
    /// What the asker may do with it: `view`, `deploy`, `operate`, `manage`.
    #[serde(default)]
    pub permissions: Vec<String>,
}
