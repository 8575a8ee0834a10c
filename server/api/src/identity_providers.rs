//! *Wharf:* identity providers: who vouches for people, and what their rules give.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who vouches for people at sign-in. Its client secret is never told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityProvider {
    pub id: Uuid,
    /// In the redirect address; never changes.
    pub name: String,
    /// What the button says: `Continue with …`.
    pub title: String,
    /// `github`, `gitlab`, `google` or `openid`.
    pub kind: String,
    pub issuer: String,
    pub client_id: String,
    /// It is believed about addresses of these, and of domains that its rules name, and signs in no others;
    /// `*` stands for every domain.
    pub domains: Vec<String>,
    /// Whether an address of `domains` is enough to get in. Otherwise, and for `*`, it takes a rule or an invitation.
    #[serde(default = "yes")]
    pub admits: bool,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// The scope that is asked for where rules name groups; absent: `groups`, where the provider says that it has it.
    #[serde(default)]
    pub groups_scope: Option<String>,
    pub rules: Vec<IdentityRule>,
    /// What has to be entered at the provider.
    pub redirect_uri: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

fn yes() -> bool {
    true
}

/// Whoever has an address of `domain`, or is in `group`, gets in and gets this. One of the two is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdentityRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Administers the platform.
    #[serde(default)]
    pub admin: bool,
    /// Is in this team, in this role: `admin`, `member` or `viewer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Adds a provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdentityProviderCreate {
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub client_id: String,
    #[serde(default)]
    pub client_secret: String,
    /// As `kind`, where it is absent; needed for `openid`.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub title: Option<String>,
    /// Needed for `openid`; the public service's where it is absent.
    #[serde(default)]
    pub issuer: Option<String>,
    #[serde(default)]
    pub domains: Vec<String>,
    /// True unless told otherwise.
    #[serde(default)]
    pub admits: Option<bool>,
    #[serde(default)]
    pub groups_claim: Option<String>,
    #[serde(default)]
    pub groups_scope: Option<String>,
    #[serde(default)]
    pub rules: Vec<IdentityRule>,
}

/// Changes what is given of a provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdentityProviderUpdate {
    #[serde(default)]
    pub title: Option<String>,
    /// Another one knows its people by other names: all identities of the provider are unlinked.
    #[serde(default)]
    pub issuer: Option<String>,
    #[serde(default)]
    pub client_id: Option<String>,
    #[serde(default)]
    pub client_secret: Option<String>,
    #[serde(default)]
    pub domains: Option<Vec<String>>,
    #[serde(default)]
    pub admits: Option<bool>,
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Empty: the usual one.
    #[serde(default)]
    pub groups_scope: Option<String>,
    #[serde(default)]
    pub rules: Option<Vec<IdentityRule>>,
}
