//! OAuth clients: programs that users authorize.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A program that requests authorization from users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OauthClient {
    pub id: Uuid,
    pub name: String,
    /// The redirect URI, matched exactly.
    pub redirect_uri: String,
    pub secret: String,
    #[serde(default)]
    pub ignores_delinquent: Option<bool>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Adds a client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OauthClientCreate {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub redirect_uri: String,
}

/// Changes the given fields of a client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OauthClientUpdate {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub redirect_uri: Option<String>,
}

/// *Wharf:* an authorization request: the query of `GET /oauth/authorize`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsentQuery {
    #[serde(default)]
    pub client_id: String,
    #[serde(default)]
    pub response_type: String,
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// Space-separated; defaults to `global`.
    #[serde(default)]
    pub scope: Option<String>,
    /// Passed through unchanged.
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    pub code_challenge: Option<String>,
    #[serde(default)]
    pub code_challenge_method: Option<String>,
}

/// *Wharf:* the requested consent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    pub client: String,
    /// The creator of the client.
    pub owner: String,
    pub scope: Vec<String>,
    pub redirect_uri: String,
}
