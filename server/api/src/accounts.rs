//! Accounts: the people who use the platform.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;

/// A person, or a service, that can ask for things.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub email: String,
    pub name: Option<String>,
    pub verified: bool,
    /// Whether it has a password, which is never without codes; told in the list for administrators.
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
    /// *Wharf:* whether this account administers the whole platform.
    #[serde(default)]
    pub admin: bool,
    /// *Wharf:* by whom it was decided whether it administers the platform: `person`, whose word stands, or
    /// `rule`, which may say otherwise at the next sign-in; told in the list for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_by: Option<String>,
    /// *Wharf:* whether it exists by an invitation alone, and goes with it; told in the list for administrators.
    #[serde(default)]
    pub invited: bool,
    /// *Wharf:* when the service account was removed that this was; told in the list for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<DateTime<Utc>>,
}

/// Changes to one's own account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AccountUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// *Wharf:* changes to somebody's account, by an administrator of the platform.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserUpdate {
    /// Whether nobody is let in with it any more. Its sessions, tokens and links end for good either way:
    /// who is let in again signs in again.
    #[serde(default, deserialize_with = "crate::refs::loose_bool", skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// Whether it administers the whole platform. A person's word: no rule of a provider changes it.
    #[serde(default, deserialize_with = "crate::refs::loose_bool", skip_serializing_if = "Option::is_none")]
    pub admin: Option<bool>,
}

/// How many requests are left in this hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    pub remaining: i64,
}
