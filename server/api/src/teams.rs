//! Teams: groups of people who manage apps together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    apps::AppCreate,
    refs::{loose_bool, loose_ref},
    team_members::Role,
};

/// A team, as seen by its members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Team {
    pub id: Uuid,
    pub name: String,
    /// The caller's role in it.
    pub role: Role,
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
    /// *Wharf:* whether its admins may add new people to the platform, if the policy allows it for teams.
    #[serde(default)]
    pub invites: bool,
}

/// Creates a team, with the caller as its only admin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamCreate {
    #[serde(default)]
    pub name: String,
}

/// Changes a team; absent fields are unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// *Wharf:* whether its admins may add new people; set by administrators of the platform.
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub invites: Option<bool>,
}

/// Creates an app of a team.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamAppCreate {
    #[serde(flatten)]
    pub app: AppCreate,
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// A personal app, even if a team is given.
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub personal: Option<bool>,
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

/// Locks an app, or transfers it to a team or a user; absent fields are unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamAppUpdate {
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Name of a team, an email address, or `~` for the caller.
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// *Wharf:* the permissions of one member on one app of the team. `GET /teams/{team}/access`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamAccess {
    pub app: crate::refs::Ref,
    pub locked: bool,
    pub user: crate::refs::UserRef,
    /// `view`, `deploy`, …; empty for no access.
    pub permissions: Vec<String>,
    /// Whether it was granted for this app; otherwise it follows from the role.
    pub explicit: bool,
}
