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
