//! *Wharf:* service accounts: programs that are members of a team.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::AccountId, team_members::Role};

/// A program with its own tokens and no way to sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccount {
    pub id: AccountId,
    pub name: String,
    /// Its identifier in place of an email address; it cannot receive mail.
    pub email: String,
    /// `member` or `viewer`.
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Creates a service account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ServiceAccountCreate {
    #[serde(default)]
    pub name: String,
    /// Defaults to `member`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}
