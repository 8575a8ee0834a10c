//! Releases: one slug with one configuration, numbered and immutable.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::ReleaseId,
    refs::{IdRef, Ref, UserRef},
};

/// How far a release is.
///
/// ```text
/// pending ──→ succeeded ──→ expired
///    └──────→ failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    Pending,
    Succeeded,
    Failed,
    Expired,
}

impl ReleaseStatus {
    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// Whether a release in this state may go to `next`.
    pub fn may_become(self, next: Self) -> bool {
        use ReleaseStatus::*;
        matches!((self, next), (Pending, Succeeded | Failed) | (Succeeded, Expired))
    }
}

/// A release of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub id: ReleaseId,
    pub app: Ref,
    /// Counts up from 1 within an app; shown as `v42`.
    pub version: i32,
    pub status: ReleaseStatus,
    /// Whether this is the one that runs.
    pub current: bool,
    pub description: String,
    pub user: UserRef,
    pub slug: Option<IdRef>,
    pub addon_plan_names: Vec<String>,
    pub artifacts: Vec<serde_json::Value>,
    pub eligible_for_rollback: bool,
    /// Output of the release phase; `None` when there was none.
    pub output_stream_url: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* the commit, when a push or a client named one.
    #[serde(default)]
    pub commit: Option<String>,
}

/// Makes a release of a slug, or goes back to an earlier release.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReleaseCreate {
    /// Slug id: a release of this slug with today's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// Release id or version: a release with the slug and configuration of that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// *Wharf:* `GET /apps/{app}/releases/{release}/rollback`: what going back to it would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollbackEffects {
    /// In order, one sentence each.
    pub effects: Vec<String>,
    /// Config vars that would be set to another value, or set again.
    pub config_set: Vec<String>,
    /// Config vars that would go away.
    pub config_unset: Vec<String>,
}

/// *Wharf:* `GET /apps/{app}/releases/{release}/changes`: what is different from another release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseChanges {
    /// The release that is compared with; 0 for the first, which has none before it.
    pub from: i32,
    pub to: i32,
    pub from_at: Option<DateTime<Utc>>,
    pub to_at: DateTime<Utc>,
    /// What came with it, newest first, at most a hundred.
    pub commits: Vec<Commit>,
    /// What went away with it: commits that only the other one has.
    pub commits_gone: Vec<Commit>,
    /// Whether there are more commits than these.
    pub more_commits: bool,
    /// Names of config vars. Values are not told.
    pub config_added: Vec<String>,
    pub config_changed: Vec<String>,
    pub config_removed: Vec<String>,
    /// Config vars that are the same in both.
    pub config_same: usize,
    /// Process types by name, with their commands before and after.
    pub processes: Vec<Changed>,
    /// The buildpack, where it is another.
    pub buildpack: Option<Changed>,
    /// The stack, where it is another.
    pub stack: Option<Changed>,
    /// Bytes of the slug; `None` without one.
    pub slug_size_from: Option<i64>,
    pub slug_size_to: Option<i64>,
    /// Whether both run the same slug.
    pub same_slug: bool,
    /// What users felt in the first hour of each, as far as it was measured.
    pub felt_from: Option<Felt>,
    pub felt_to: Option<Felt>,
}

/// A commit in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    pub id: String,
    /// The first line of its message.
    pub subject: String,
    pub author: String,
    pub at: DateTime<Utc>,
}

/// Something that is there before, after, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    pub name: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// What users felt while a release was the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Felt {
    /// The stretch that was looked at, in seconds.
    pub seconds: i64,
    pub requests: u64,
    /// Requests that were answered with 5xx.
    pub failed: u64,
    pub p95_ms: Option<f64>,
    /// Bytes, the most that any dyno used.
    pub memory_max: u64,
}

/// Which release to compare with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReleaseChangesQuery {
    /// Id or version; the one before it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}
