//! Releases: a slug with a configuration, numbered and immutable.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::ReleaseId,
    named::named,
    refs::{IdRef, Ref, UserRef},
};

named! {
    /// The status of a release.
    ///
    /// ```text
    /// pending ──→ succeeded ──→ expired
    ///    └──────→ failed
    /// ```
    pub enum ReleaseStatus {
        /// Its release phase is queued or running.
        Pending = "pending",
        Succeeded = "succeeded",
        /// Also if its release phase was cancelled, or if its web dynos did not stay up and the release before serves
        /// again.
        Failed = "failed",
        /// It succeeded once, and can no longer be rolled back to.
        Expired = "expired",
    }
}

named! {
    /// How far the dynos of a release have taken over from those of the release before.
    ///
    /// ```text
    /// waiting ──→ watching ──→ passed
    ///    ├────────────┴──────→ failed
    ///    └───────────────────→ superseded
    /// ```
    pub enum Rollout {
        /// Its web dynos are not up yet, or its release phase has not ended.
        Waiting = "waiting",
        /// Its web dynos are up and get the requests. Those of the release before keep running for the watch period.
        Watching = "watching",
        /// Its web dynos stayed up for the watch period, or there was nothing to wait for.
        Passed = "passed",
        /// A web dyno has crashed before that, or the release phase has failed. The release before serves again, if
        /// there is one that was up.
        Failed = "failed",
        /// Another release has replaced it before that.
        Superseded = "superseded",
    }
}

impl Rollout {
    /// Whether it is still to be seen whether the release stays up.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Watching)
    }
}

impl ReleaseStatus {
    /// Whether its release phase has not ended: it is queued or running.
    pub fn is_pending(self) -> bool {
        self == Self::Pending
    }

    /// Whether a rollback to a release in this state is possible.
    pub fn may_roll_back_to(self) -> bool {
        self == Self::Succeeded
    }
}

/// A release of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub id: ReleaseId,
    pub app: Ref,
    /// Sequence number within an app, from 1; shown as `v42`.
    pub version: i32,
    pub status: ReleaseStatus,
    /// Whether this is the current one.
    pub current: bool,
    pub description: String,
    pub user: UserRef,
    pub slug: Option<IdRef>,
    pub addon_plan_names: Vec<String>,
    pub artifacts: Vec<serde_json::Value>,
    pub eligible_for_rollback: bool,
    /// Output of the release phase; `None` if there was none.
    pub output_stream_url: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* the commit, if a push or a client named one.
    #[serde(default)]
    pub commit: Option<String>,
    /// *Wharf:* why it failed: `cancelled by bob@example.com`. While it is pending, the reason why it is about to fail.
    #[serde(default)]
    pub error: Option<String>,
    /// *Wharf:* whether its release phase was cancelled. While it is pending, it is about to end.
    #[serde(default)]
    pub cancelled: bool,
    /// *Wharf:* whether its release phase is waiting for its turn.
    #[serde(default)]
    pub queued: bool,
    /// *Wharf:* how far its dynos have taken over.
    #[serde(default)]
    pub rollout: Rollout,
    /// *Wharf:* how long its web dynos have to stay up before those of the release before are stopped, in seconds.
    #[serde(default)]
    pub watch_seconds: i32,
    /// *Wharf:* the dyno that did not stay up: `web.1`. `error` says how it ended.
    #[serde(default)]
    pub failed_dyno: Option<String>,
    /// *Wharf:* when it first had a web dyno that was up, or any dyno if it has no web dynos; `None` if it never had.
    #[serde(default)]
    pub up_at: Option<DateTime<Utc>>,
    /// *Wharf:* since when it is up, if it is.
    #[serde(default)]
    pub up_since: Option<DateTime<Utc>>,
    /// *Wharf:* for how long it was up before that, in seconds.
    #[serde(default)]
    pub up_seconds: i64,
}

impl Release {
    /// For how long it has been up in total, in seconds.
    pub fn up_for(&self, now: DateTime<Utc>) -> i64 {
        self.up_seconds + self.up_since.map_or(0, |since| (now - since).num_seconds().max(0))
    }

    /// Whether it was up, and stayed up for the watch period.
    pub fn was_good(&self) -> bool {
        self.rollout == Rollout::Passed && self.up_at.is_some()
    }

    /// Whether a rollback should go back to it if no other is named: one that is known to work, and has code. Servers of
    /// earlier versions do not record what works.
    pub fn is_rollback_target(&self) -> bool {
        self.eligible_for_rollback && self.slug.is_some() && (self.rollout == Rollout::Unknown || self.was_good())
    }

    /// Why it failed, in one sentence without a full stop; `None` if it has not.
    pub fn failure(&self) -> Option<String> {
        let error = self.error.as_deref();
        match (&self.failed_dyno, self.status) {
            (Some(dyno), _) if self.rollout == Rollout::Failed => {
                Some(format!("{dyno}: {}", error.unwrap_or("it crashed")))
            }
            (_, ReleaseStatus::Failed) => Some(match error {
                Some(why) => format!("release phase: {why}"),
                None => "the release phase failed".to_owned(),
            }),
            _ => None,
        }
    }

    /// Whether its release phase can be cancelled. Not if it has already been cancelled and is about to end.
    pub fn may_cancel(&self) -> bool {
        self.status.is_pending() && !self.cancelled
    }

    /// Why its release phase was cancelled, or is being cancelled: `cancelled by bob@example.com`.
    pub fn cancellation(&self) -> Option<&str> {
        self.cancelled.then(|| self.error.as_deref().unwrap_or("cancelled"))
    }
}

/// Creates a release of a slug, or rolls back to an earlier release.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReleaseCreate {
    /// Slug id: a release of this slug with the current configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// Release id or version: a release with the slug and configuration of that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// *Wharf:* `GET /apps/{app}/releases/{release}/rollback`: the effects of a rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollbackEffects {
    /// In order, one sentence each.
    pub effects: Vec<String>,
    /// Config vars that would be changed or restored.
    pub config_set: Vec<String>,
    /// Config vars that would be removed.
    pub config_unset: Vec<String>,
}

/// *Wharf:* `GET /apps/{app}/releases/{release}/changes`: the differences from another release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseChanges {
    /// The release compared with; 0 for the first, which has no predecessor.
    pub from: i32,
    pub to: i32,
    pub from_at: Option<DateTime<Utc>>,
    pub to_at: DateTime<Utc>,
    /// Added commits, newest first, at most a hundred.
    pub commits: Vec<Commit>,
    /// Removed commits: those that only the other release has.
    pub commits_removed: Vec<Commit>,
    /// Whether there are more commits.
    pub more_commits: bool,
    /// Names of config vars. Values are not included.
    pub config_added: Vec<String>,
    pub config_changed: Vec<String>,
    pub config_removed: Vec<String>,
    /// Unchanged config vars.
    pub config_same: usize,
    /// Process types by name, with their commands before and after.
    pub processes: Vec<Changed>,
    /// The buildpack, if it differs.
    pub buildpack: Option<Changed>,
    /// The stack, if it differs.
    pub stack: Option<Changed>,
    /// Slug size in bytes; `None` without one.
    pub slug_size_from: Option<i64>,
    pub slug_size_to: Option<i64>,
    /// Whether both run the same slug.
    pub same_slug: bool,
    /// User impact in the first hour of each, as far as measured.
    pub impact_before: Option<Impact>,
    pub impact_after: Option<Impact>,
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

/// A value before and after; either may be absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    pub name: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// User impact while a release was current.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// The observed period, in seconds.
    pub seconds: i64,
    pub requests: u64,
    /// Requests answered with a 5xx.
    pub failed: u64,
    pub p95_ms: Option<f64>,
    /// Maximum memory of any dyno, in bytes.
    pub memory_max: u64,
}

/// The release to compare with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReleaseChangesQuery {
    /// Id or version; defaults to the previous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(status: &str, cancelled: bool, error: Option<&str>) -> Release {
        let of = serde_json::json!({ "id": ReleaseId::nil(), "name": "dusk" });
        serde_json::from_value(serde_json::json!({
            "id": ReleaseId::nil(), "app": of, "version": 2, "status": status, "current": false, "description": "Deploy",
            "user": { "id": ReleaseId::nil(), "email": "ada@example.com" }, "slug": null, "addon_plan_names": [],
            "artifacts": [], "eligible_for_rollback": false, "output_stream_url": null,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "cancelled": cancelled, "error": error,
        }))
        .unwrap()
    }

    #[test]
    fn a_cancellation_is_not_recognised_by_its_text() {
        let failed = release("failed", false, Some("cancelled its own subscription and exited with 1"));
        assert_eq!(failed.cancellation(), None);
        let cancelled = release("failed", true, Some("the app was destroyed"));
        assert_eq!(cancelled.cancellation(), Some("the app was destroyed"));
        let ending = release("pending", true, None);
        assert_eq!((ending.cancellation(), ending.may_cancel()), (Some("cancelled"), false));
        assert!(release("pending", false, None).may_cancel());
    }
}
