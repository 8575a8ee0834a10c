//! App transfers: an app is offered to a user, who accepts or declines.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::AppTransferId,
    named::named,
    refs::{Ref, UserRef, loose_ref},
};

named! {
    /// The state of a transfer.
    pub enum TransferState {
        /// Offered.
        Pending = "pending",
        Accepted = "accepted",
        Declined = "declined",
    }
}

impl TransferState {
    /// Whether the recipient has answered.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Accepted | Self::Declined)
    }
}

/// A transfer and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppTransfer {
    pub id: AppTransferId,
    pub app: Ref,
    pub owner: UserRef,
    pub recipient: UserRef,
    pub state: TransferState,
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
    /// `accepted` or `declined`.
    #[serde(default)]
    pub state: String,
}
