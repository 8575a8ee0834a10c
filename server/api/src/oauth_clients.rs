//! OAuth clients: programs that people let act for them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A program that asks people whether it may act for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OauthClient {
    pub id: Uuid,
    pub name: String,
    /// Where people are sent back to: exactly this.
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

/// Changes what is given of a client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OauthClientUpdate {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub redirect_uri: Option<String>,
}

/// *Wharf:* what a client asks for: the query of `GET /oauth/authorize`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsentQuery {
    #[serde(default)]
    pub client_id: String,
    #[serde(default)]
    pub response_type: String,
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// With blanks between; `global` where it is absent.
    #[serde(default)]
    pub scope: Option<String>,
    /// Passed on as it is.
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    pub code_challenge: Option<String>,
    #[serde(default)]
    pub code_challenge_method: Option<String>,
}

/// *Wharf:* what somebody is asked to agree to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    pub client: String,
    /// Who made the client.
    pub owner: String,
    pub scope: Vec<String>,
    pub redirect_uri: String,
}
