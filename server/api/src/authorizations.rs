//! Authorizations: API tokens.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::AuthorizationId;

/// A token and what it is for. The token itself is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authorization {
    pub id: AuthorizationId,
    pub description: String,
    pub scope: Vec<String>,
    pub access_token: Option<AccessToken>,
    pub user: AuthorizationUser,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[serde(default)]
    pub client: Option<serde_json::Value>,
    #[serde(default)]
    pub grant: Option<serde_json::Value>,
    #[serde(default)]
    pub refresh_token: Option<serde_json::Value>,
    #[serde(default)]
    pub session: Option<serde_json::Value>,
    /// *Wharf:* when the token was last used.
    #[serde(default)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// *Wharf:* when it ends; absent: not before it is revoked.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// The secret part: whole in the answer that makes it, masked in every later one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessToken {
    pub id: Uuid,
    pub token: String,
    /// Seconds from now; `None` lives until it is revoked.
    pub expires_in: Option<i64>,
}

/// Whom the token speaks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationUser {
    pub id: Uuid,
    pub email: String,
    pub full_name: Option<String>,
}

/// Asks for a new token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuthorizationCreate {
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub scope: Option<Vec<String>>,
    /// Seconds; a number or, from some clients, a string. `never` lives until it is revoked, as a token does for
    /// which a program asks without saying anything; one that a browser asks for lives for ninety days.
    #[serde(default)]
    pub expires_in: Option<serde_json::Value>,
}

/// Changes a token's description.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuthorizationUpdate {
    #[serde(default)]
    pub description: Option<String>,
}
