//! Collaborators: who has access to an app, with which permissions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    named::named,
    refs::{Ref, loose_ref},
    team_members::Role,
};

named! {
    /// The role of a collaborator: the owner of the app, a member of its team (by role), or anybody else.
    pub enum CollaboratorRole {
        Owner = "owner",
        Admin = "admin",
        Member = "member",
        Viewer = "viewer",
        Collaborator = "collaborator",
    }
}

impl CollaboratorRole {
    /// The role in the app's team; `None` for everybody else.
    pub fn in_team(self) -> Option<Role> {
        match self {
            Self::Admin => Some(Role::Admin),
            Self::Member => Some(Role::Member),
            Self::Viewer => Some(Role::Viewer),
            Self::Owner | Self::Collaborator | Self::Unknown => None,
        }
    }
}

/// A collaborator of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collaborator {
    pub id: Uuid,
    pub app: Ref,
    pub user: CollaboratorUser,
    pub role: CollaboratorRole,
    pub permissions: Vec<Permission>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The collaborator's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollaboratorUser {
    pub id: Uuid,
    pub email: String,
    pub federated: bool,
}

/// A permission: `view`, `deploy`, `operate` or `manage`; or a part of one, `logs`, `config`, …
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    pub name: String,
    pub description: String,
}

/// Adds a user by email address or id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CollaboratorCreate {
    #[serde(default, deserialize_with = "loose_ref")]
    pub user: Option<String>,
    #[serde(default)]
    pub permissions: Option<Vec<String>>,
}

/// Changes a user's permissions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CollaboratorUpdate {
    #[serde(default)]
    pub permissions: Vec<String>,
}
