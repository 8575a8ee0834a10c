//! Accounts: the users of the platform.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::AccountId, team_members::GrantedBy};

/// A user or service account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub email: String,
    pub name: Option<String>,
    pub verified: bool,
    /// Whether it has a password (always with a second factor); only in the administrators' list.
    pub two_factor_authentication: bool,
    pub federated: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub last_login: Option<DateTime<Utc>>,
    #[serde(default)]
    pub beta: bool,
    #[serde(default)]
    pub allow_tracking: bool,
    #[serde(default)]
    pub suspended_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub delinquent_at: Option<DateTime<Utc>>,
    /// *Wharf:* whether this account administers the platform.
    #[serde(default)]
    pub admin: bool,
    /// *Wharf:* who set the administrator flag; only in the administrators' list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_by: Option<GrantedBy>,
    /// *Wharf:* whether it exists only because of an invitation, and is deleted with it; only in the
    /// administrators' list.
    #[serde(default)]
    pub invited: bool,
    /// *Wharf:* when this service account was removed; only in the administrators' list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<DateTime<Utc>>,
}

/// Changes to one's own account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AccountUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// *Wharf:* changes to an account by an administrator of the platform.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserUpdate {
    /// Whether it is suspended. Its sessions, tokens and links end permanently: after reinstatement, the user has to
    /// sign in again.
    #[serde(default, deserialize_with = "crate::refs::loose_bool", skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// Whether it administers the platform. Setting it counts as a person's decision, which no provider rule changes.
    #[serde(default, deserialize_with = "crate::refs::loose_bool", skip_serializing_if = "Option::is_none")]
    pub admin: Option<bool>,
}

/// Requests left in this hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    pub remaining: i64,
}
