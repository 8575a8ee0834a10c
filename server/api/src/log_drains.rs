//! Log drains: destinations that an app's log is forwarded to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::LogDrainId, refs::Ref};

/// A destination for an app's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogDrain {
    pub id: LogDrainId,
    pub url: String,
    /// `d.<uuid>`: identifies the stream to the receiver.
    pub token: String,
    pub addon: Option<serde_json::Value>,
    pub app: Option<Ref>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Adds a drain.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogDrainCreate {
    pub url: String,
}
