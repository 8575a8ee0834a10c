//! Log sessions: temporary URLs for reading an app's log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::LogSessionId, refs::loose_bool};

/// A pre-signed URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogSession {
    pub id: LogSessionId,
    pub logplex_url: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The lines of the session. Old and new names of fields are both accepted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogSessionCreate {
    /// A dyno or a process type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dyno: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dyno_name: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u32>,
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub tail: Option<bool>,
    /// *Wharf:* only lines at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// *Wharf:* only lines before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// *Wharf:* only lines that contain this text, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// *Wharf:* only lines that match this regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}
