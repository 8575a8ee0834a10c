//! *Wharf:* console sessions and one-time sign-in links.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::SessionId;

/// A browser that is signed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    /// Whether this is the one that asks.
    pub current: bool,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    /// When it ends unless it is used; and in any case ninety days after it began.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A link that signs one browser in, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignInLink {
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// What a link would do, for the page that asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignInLinkInfo {
    /// Whom it signs in.
    pub email: String,
    pub expires_at: DateTime<Utc>,
    /// Who is signed in in the browser that asks.
    pub signed_in_as: Option<String>,
}
