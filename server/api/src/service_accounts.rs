//! *Wharf:* service accounts: programs that are members of a team.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A program with tokens of its own and no way to sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccount {
    pub id: Uuid,
    pub name: String,
    /// What it is called where people have an e-mail address; no mail can reach it.
    pub email: String,
    /// `member` or `viewer`.
    pub role: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Asks for a new service account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ServiceAccountCreate {
    #[serde(default)]
    pub name: String,
    /// `member` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}
