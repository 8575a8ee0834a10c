//! App transfers: an app is offered to a user, who accepts or declines.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::refs::{Ref, UserRef, loose_ref};

/// A transfer and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppTransfer {
    pub id: Uuid,
    pub app: Ref,
    pub owner: UserRef,
    pub recipient: UserRef,
    /// `pending`, `accepted` or `declined`.
    pub state: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Offers an app to a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AppTransferCreate {
    #[serde(default, deserialize_with = "loose_ref")]
    pub app: Option<String>,
    /// Email address or id.
    #[serde(default, deserialize_with = "loose_ref")]
    pub recipient: Option<String>,
}

/// Accepts or declines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AppTransferUpdate {
    #[serde(default)]
    pub state: String,
}
