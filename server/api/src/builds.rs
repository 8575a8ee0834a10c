//! Builds: source code becomes a slug.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::BuildId,
    refs::{IdRef, UserRef},
};

/// How far a build is.
///
/// ```text
/// pending ──→ succeeded
///    └──────→ failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStatus {
    Pending,
    Succeeded,
    Failed,
}

impl BuildStatus {
    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Whether a build in this state may go to `next`.
    pub fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Pending, Self::Succeeded | Self::Failed))
    }
}

/// A build, running or ended.
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
    /// Opens without credentials; holds a secret of its own.
    pub output_stream_url: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* counts up from 1 within an app.
    #[serde(default)]
    pub number: i32,
    /// *Wharf:* why it failed, in one sentence.
    #[serde(default)]
    pub error: Option<String>,
    /// *Wharf:* place in the queue, 0 when it runs or has ended.
    #[serde(default)]
    pub queue_position: i64,
}

/// A buildpack by address or by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Buildpack {
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
}

/// Where a build's source came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceBlob {
    #[serde(default)]
    pub url: Option<String>,
    /// The commit, or what the client called it.
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub version_description: Option<String>,
    /// `SHA256:<hex>` of the archive; checked when given.
    #[serde(default)]
    pub checksum: Option<String>,
}

/// Asks for a build of an archive.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BuildCreate {
    pub source_blob: SourceBlob,
    #[serde(default)]
    pub buildpacks: Option<Vec<Buildpack>>,
}
