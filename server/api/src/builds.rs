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
}
