//! *Wharf:* console sessions and one-time sign-in links.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::SessionId;

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    /// Whether this is the current one.
    pub current: bool,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    /// When it expires if unused; at the latest ninety days after its start.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A one-time sign-in link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignInLink {
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// The effect of a link, shown on its confirmation page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignInLinkInfo {
    /// The account it signs in.
    pub email: String,
    pub expires_at: DateTime<Utc>,
    /// The account currently signed in in this browser.
    pub signed_in_as: Option<String>,
}
