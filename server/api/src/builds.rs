//! Builds: turn source code into a slug.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::BuildId,
    named::named,
    refs::{IdRef, UserRef},
};

named! {
    /// The status of a build.
    ///
    /// ```text
    /// pending ──→ succeeded
    ///    └──────→ failed
    /// ```
    pub enum BuildStatus {
        /// Queued or running.
        Pending = "pending",
        Succeeded = "succeeded",
        /// Also if it was cancelled.
        Failed = "failed",
    }
}

impl BuildStatus {
    /// Whether it has not ended: it is queued or running, and can be cancelled.
    pub fn is_pending(self) -> bool {
        self == Self::Pending
    }
}

/// How long a push, or a build, waits for the release that it creates. As text: `no`, `up` or a number of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Until the release is created.
    No,
    /// Until its web dynos are up.
    Up,
    /// Until they have been up for the app's watch period.
    #[default]
    Watch,
    /// Until they have been up for this many seconds.
    Seconds(i32),
}

/// The longest watch period, in seconds.
pub const MOST_WATCH_SECONDS: i32 = 600;

impl Wait {
    /// The watch period of the release, if it is not the app's, in seconds.
    pub fn watch_seconds(self) -> Option<i32> {
        if let Self::Seconds(seconds) = self { Some(seconds) } else { None }
    }

    /// The text, as it is stored; `None` for the default.
    pub fn text(self) -> Option<String> {
        match self {
            Self::No => Some("no".to_owned()),
            Self::Up => Some("up".to_owned()),
            Self::Watch => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
        }
    }
}

impl std::str::FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = || text.parse().ok().filter(|seconds| (0..=MOST_WATCH_SECONDS).contains(seconds));
        match text {
            "no" => Ok(Self::No),
            "up" => Ok(Self::Up),
            _ => seconds()
                .map(Self::Seconds)
                .ok_or_else(|| format!("wait must be no, up, or a number of seconds from 0 to {MOST_WATCH_SECONDS}")),
        }
    }
}

/// A build, running or finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    pub id: BuildId,
    pub app: IdRef,
    pub status: BuildStatus,
    pub buildpacks: Vec<Buildpack>,
    pub source_blob: SourceBlob,
    pub stack: String,
    pub slug: Option<IdRef>,
    /// Also if the build has failed because this release did.
    pub release: Option<IdRef>,
    pub user: UserRef,
    /// A pre-signed URL.
    pub output_stream_url: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* sequence number within an app, from 1.
    #[serde(default)]
    pub number: i32,
    /// *Wharf:* why it failed, in one sentence.
    #[serde(default)]
    pub error: Option<String>,
    /// *Wharf:* position in the queue, 0 if running or finished.
    #[serde(default)]
    pub queue_position: i64,
}

/// A buildpack by URL or by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Buildpack {
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
}

/// The origin of a build's source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceBlob {
    #[serde(default)]
    pub url: Option<String>,
    /// The commit, or the client's name for it.
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub version_description: Option<String>,
    /// `SHA256:<hex>` of the archive; verified if present.
    #[serde(default)]
    pub checksum: Option<String>,
}

/// Builds an archive.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BuildCreate {
    pub source_blob: SourceBlob,
    #[serde(default)]
    pub buildpacks: Option<Vec<Buildpack>>,
    /// *Wharf:* how long the build waits for its release: `no`, `up` or a watch period in seconds. Defaults to the app's
    /// watch period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}

/// *Wharf:* builds the source of the current release again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BuildRedeploy {
    /// As in [`BuildCreate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_it_is_written() {
        for wait in [Wait::No, Wait::Up, Wait::Seconds(0), Wait::Seconds(600)] {
            assert_eq!(wait.text().unwrap().parse(), Ok(wait));
        }
        assert_eq!(Wait::default().text(), None);
        for bad in ["", "yes", "-1", "601", "1.5", "10s"] {
            assert!(bad.parse::<Wait>().is_err(), "{bad}");
        }
    }
}
