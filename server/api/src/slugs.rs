//! Slugs: the immutable results of builds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::SlugId,
    refs::{Ref, loose_ref},
};

/// A slug and the location of its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slug {
    pub id: SlugId,
    pub blob: Blob,
    pub buildpack_provided_description: Option<String>,
    /// `SHA256:<hex>`
    pub checksum: Option<String>,
    pub commit: Option<String>,
    pub commit_description: Option<String>,
    pub process_types: BTreeMap<String, String>,
    /// Bytes, compressed.
    pub size: Option<i64>,
    pub stack: Ref,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// How to read or write the content: `method` is `get` or `put`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blob {
    pub method: String,
    pub url: String,
}

/// Creates a slug from a custom archive.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SlugCreate {
    #[serde(default)]
    pub process_types: BTreeMap<String, String>,
    #[serde(default)]
    pub buildpack_provided_description: Option<String>,
    #[serde(default)]
    pub checksum: Option<String>,
    #[serde(default)]
    pub commit: Option<String>,
    #[serde(default)]
    pub commit_description: Option<String>,
    #[serde(default, deserialize_with = "loose_ref")]
    pub stack: Option<String>,
}
