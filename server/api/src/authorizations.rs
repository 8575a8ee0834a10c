//! Authorizations: API tokens.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, AppId, AuthorizationId};

/// A token and its purpose. The token itself is shown once, on creation.
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
    /// *Wharf:* when the token expires; absent if it lasts until it is revoked.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// *Wharf:* the apps that the token is limited to; absent if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Vec<AuthorizationApp>>,
}

/// *Wharf:* an app that a token is limited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationApp {
    pub id: AppId,
    /// Absent if the app is gone or not visible to the reader, and in responses to changes.
    #[serde(default)]
    pub name: Option<String>,
}

impl Authorization {
    /// The scopes, and the apps that it is limited to: `deploy: dusk, dawn`.
    pub fn reach(&self) -> String {
        let scope = self.scope.join(", ");
        let Some(apps) = &self.apps else { return scope };
        let names = apps.iter().filter_map(|app| app.name.clone()).collect::<Vec<_>>();
        match names.is_empty() {
            true => format!("{scope}: no app that you can see"),
            false => format!("{scope}: {}", names.join(", ")),
        }
    }
}

/// The secret: complete in the response that creates it, masked in later ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessToken {
    pub id: AuthorizationId,
    pub token: String,
    /// Seconds from now; `None` if it never expires.
    pub expires_in: Option<i64>,
}

/// The account of the token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationUser {
    pub id: AccountId,
    pub email: String,
    pub full_name: Option<String>,
}

/// Creates a token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuthorizationCreate {
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub scope: Option<Vec<String>>,
    /// Seconds; a number or, from some clients, a string. With `never`, the token lasts until it is revoked, which is
    /// the default for requests by programs; deploy tokens, and tokens requested by a browser, last ninety days by
    /// default.
    #[serde(default)]
    pub expires_in: Option<serde_json::Value>,
    /// *Wharf:* names or ids of the apps that a token with the scope `deploy` is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Vec<String>>,
}

/// Changes a token's description.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuthorizationUpdate {
    #[serde(default)]
    pub description: Option<String>,
}
