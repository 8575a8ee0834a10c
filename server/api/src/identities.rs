//! *Wharf:* identities: the provider accounts linked to an account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{IdentityId, IdentityProposalId};

/// An account at a provider that can sign in to this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub id: IdentityId,
    /// The provider's name and title.
    pub provider: String,
    pub title: String,
    /// The address last reported by the provider.
    pub email: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_used_at: DateTime<Utc>,
}

/// An identity waiting for confirmation by the owner of the account. Created by `GET
/// /login/oauth/{provider}?link=true` while signed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityProposal {
    pub id: IdentityProposalId,
    /// The provider's name and title.
    pub provider: String,
    pub title: String,
    /// The address reported by the provider.
    pub email: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
}
