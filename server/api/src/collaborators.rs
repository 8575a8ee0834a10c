//! Collaborators: who has access to an app, with which permissions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::refs::{Ref, loose_ref};

/// A collaborator of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collaborator {
    pub id: Uuid,
    pub app: Ref,
    pub user: CollaboratorUser,
    /// `owner` or `collaborator`; for team members, the role in the team.
    pub role: String,
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
