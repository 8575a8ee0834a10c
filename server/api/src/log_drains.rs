//! Log drains: where else an app's log lines go.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::LogDrainId, refs::Ref};

/// A place that receives an app's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogDrain {
    pub id: LogDrainId,
    pub url: String,
    /// `d.<uuid>`: how the receiver tells this stream from others.
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
