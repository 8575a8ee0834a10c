//! *Wharf:* identities: by whom one's own account is vouched for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An account at a provider that signs this one in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub id: Uuid,
    /// The provider's name and title.
    pub provider: String,
    pub title: String,
    /// The address that the provider told last.
    pub email: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it was used last.
    pub last_used_at: DateTime<Utc>,
}

/// An identity that waits for the owner of the account to say that it is theirs. It begins with
/// `GET /login/oauth/{provider}?link=true` of somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityProposal {
    pub id: Uuid,
    /// The provider's name and title.
    pub provider: String,
    pub title: String,
    /// The address that the provider told.
    pub email: Option<String>,
    pub created_at: DateTime<Utc>,
    /// Until when it can be accepted.
    pub expires_at: DateTime<Utc>,
}
