//! Team members and their roles.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A member of a team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamMember {
    pub id: Uuid,
    pub email: String,
    /// `admin`, `member` or `viewer`.
    pub role: String,
    pub federated: bool,
    pub two_factor_authentication: bool,
    #[serde(default)]
    pub identity_provider: Option<serde_json::Value>,
    pub user: TeamUser,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* whether it is a service account.
    #[serde(default)]
    pub service: bool,
    /// *Wharf:* absent if they have never signed in.
    #[serde(default)]
    pub last_login: Option<DateTime<Utc>>,
    /// *Wharf:* who set the role: `person`, which is final, or `rule`, which may change at the next sign-in.
    #[serde(default)]
    pub given_by: String,
}

/// The member's account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TeamUser {
    pub id: Uuid,
    pub email: String,
    pub name: Option<String>,
}

/// Adds or invites a member, or changes a role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamMemberSave {
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub role: String,
}
