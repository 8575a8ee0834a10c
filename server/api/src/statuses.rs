//! *Wharf:* the status of an app: everything the console shows, in one request.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    apps::App,
    builds::Build,
    dynos::Dyno,
    formation::Formation,
    ids::{AppId, BuildId},
    named::named,
    releases::Release,
};

named! {
    /// The condition of an app.
    pub enum Condition {
        /// Never deployed.
        Empty = "empty",
        /// A build or rollout is in progress and nothing is wrong.
        Changing = "changing",
        /// All desired dynos are up.
        Up = "up",
        /// Some desired dynos are not up.
        Degraded = "degraded",
        /// The newest release did not stay up, and the previous one serves.
        Held = "held",
        /// No web dyno is up though one is desired.
        Crashed = "crashed",
        /// Scaled to zero.
        Off = "off",
        /// Maintenance mode is on.
        Maintenance = "maintenance",
    }
}

/// `GET /app-statuses`: a row of the list of apps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppSummary {
    pub id: AppId,
    pub name: String,
    pub condition: Condition,
    /// One short sentence with details: "web.1 exited with status 1 · next try in 4 s".
    pub detail: String,
    pub web_url: String,
    pub dynos_up: i32,
    pub dynos_wanted: i32,
    pub release: Option<ReleaseSummary>,
    /// The running build.
    pub build: Option<BuildId>,
    /// Requests of the last hour per two-minute interval, oldest first, for a sparkline; empty if not measured.
    #[serde(default)]
    pub traffic: Vec<u64>,
    /// Responses with a status of 500 or more.
    #[serde(default)]
    pub failed: u64,
    /// The 95th percentile of response times in milliseconds; `None` without requests.
    #[serde(default)]
    pub p95_ms: Option<f64>,
    pub owner: String,
    pub created_at: DateTime<Utc>,
}

/// A summary of the latest release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseSummary {
    pub version: i32,
    pub description: String,
    /// The first line of its commit message, if it was built from a commit.
    #[serde(default)]
    pub message: Option<String>,
    pub status: crate::releases::ReleaseStatus,
    pub user: String,
    pub created_at: DateTime<Utc>,
}

/// A release that has failed because its web dynos did not stay up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldRelease {
    pub version: i32,
    /// The release that serves instead.
    pub serving: i32,
    /// The dyno that did not stay up: `web.1`.
    pub dyno: String,
    /// How it ended: "Process exited with status 1".
    pub last_exit: Option<String>,
    /// Servers of earlier versions restarted it, at this time.
    #[serde(default)]
    pub next_start_at: Option<DateTime<Utc>>,
}

/// `GET /apps/{app}/status`: everything on the overview page of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    pub app: App,
    pub condition: Condition,
    pub detail: String,
    pub formation: Vec<Formation>,
    pub dynos: Vec<Dyno>,
    /// The one-off dynos that have not ended, oldest first.
    #[serde(default)]
    pub one_offs: Vec<Dyno>,
    /// Set while the newest release is one that did not stay up, and an older one serves.
    #[serde(default)]
    pub held: Option<HeldRelease>,
    /// Newest first, at most ten.
    pub releases: Vec<Release>,
    /// Newest first, at most five.
    pub builds: Vec<Build>,
    /// The caller's permissions: `view`, `deploy`, `operate`, `manage`.
    #[serde(default)]
    pub permissions: Vec<String>,
}
