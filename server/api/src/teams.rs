//! Teams: people who look after apps together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    apps::AppCreate,
    refs::{loose_bool, loose_ref},
};

/// A team as its members see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Team {
    pub id: Uuid,
    pub name: String,
    /// What the asker is in it: `admin`, `member` or `viewer`.
    pub role: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[serde(default)]
    pub credit_card_collections: bool,
    #[serde(default)]
    pub default: bool,
    #[serde(default)]
    pub enterprise_account: Option<serde_json::Value>,
    #[serde(default)]
    pub identity_provider: Option<serde_json::Value>,
    #[serde(default)]
    pub membership_limit: Option<i64>,
    #[serde(default)]
    pub provisioned_licenses: bool,
    /// *Wharf:* whether its admins may bring new people to the platform, where the policy leaves it to teams.
    #[serde(default)]
    pub invites: bool,
}

/// Asks for a new team, whose only admin is the asker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamCreate {
    #[serde(default)]
    pub name: String,
}

/// Changes a team; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// *Wharf:* whether its admins may bring new people; by administrators of the platform.
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub invites: Option<bool>,
}

/// Asks for a new app of a team.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamAppCreate {
    #[serde(flatten)]
    pub app: AppCreate,
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// For oneself, whatever team is named.
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub personal: Option<bool>,
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

/// Locks an app, or gives it to a team or a person; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamAppUpdate {
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// The name of a team, an e-mail address, or `~` for oneself.
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// *Wharf:* what one member may do with one app of the team. `GET /teams/{team}/access`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamAccess {
    pub app: crate::refs::Ref,
    pub locked: bool,
    pub user: crate::refs::UserRef,
    /// `view`, `deploy`, …; empty for no access.
    pub permissions: Vec<String>,
    /// Whether it was given for this very app; otherwise it follows from the role.
    pub explicit: bool,
}
