//! *Wharf:* identity providers and their rules.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::named::named;

named! {
    /// The kind of an identity provider.
    pub enum ProviderKind {
        GitHub = "github",
        GitLab = "gitlab",
        Google = "google",
        /// Any other OpenID provider.
        OpenId = "openid",
    }
}

/// An identity provider for sign-in. Its client secret is never returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityProvider {
    pub id: Uuid,
    /// Part of the redirect URI; never changes.
    pub name: String,
    /// The button label: `Continue with …`.
    pub title: String,
    pub kind: ProviderKind,
    pub issuer: String,
    pub client_id: String,
    /// It is trusted for addresses in these domains and in domains named by its rules; users with other addresses
    /// cannot sign in through it. `*` means any domain.
    pub domains: Vec<String>,
    /// Whether an address in `domains` is sufficient to sign in. Otherwise, and for `*`, a rule or an
    /// invitation is required.
    #[serde(default = "yes")]
    pub admits: bool,
    /// The claim that contains groups.
    pub groups_claim: String,
    /// The scope requested if rules name groups; absent: `groups`, if the provider supports it.
    #[serde(default)]
    pub groups_scope: Option<String>,
    pub rules: Vec<IdentityRule>,
    /// The redirect URI to register with the provider.
    pub redirect_uri: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

fn yes() -> bool {
    true
}

/// Users with an address in `domain`, or in the group `group`, may sign in and get the access below. Exactly one of the
/// two is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdentityRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Makes administrators of the platform.
    #[serde(default)]
    pub admin: bool,
    /// Makes members of this team, in this role: `admin`, `member` or `viewer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Adds a provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdentityProviderCreate {
    /// `github`, `gitlab`, `google` or `openid`.
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub client_id: String,
    #[serde(default)]
    pub client_secret: String,
    /// Defaults to `kind`; required for `openid`.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub title: Option<String>,
    /// Required for `openid`; defaults to the public service.
    #[serde(default)]
    pub issuer: Option<String>,
    #[serde(default)]
    pub domains: Vec<String>,
    /// Defaults to true.
    #[serde(default)]
    pub admits: Option<bool>,
    #[serde(default)]
    pub groups_claim: Option<String>,
    #[serde(default)]
    pub groups_scope: Option<String>,
    #[serde(default)]
    pub rules: Vec<IdentityRule>,
}

/// Changes the given fields of a provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdentityProviderUpdate {
    #[serde(default)]
    pub title: Option<String>,
    /// Another issuer has different user ids: all identities of the provider are unlinked.
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
    /// Empty: the default.
    #[serde(default)]
    pub groups_scope: Option<String>,
    #[serde(default)]
    pub rules: Option<Vec<IdentityRule>>,
}
