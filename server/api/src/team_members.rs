//! Team members and their roles.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::named::named;

named! {
    /// A role in a team.
    pub enum Role {
        /// Manages the team, and has all permissions on its apps.
        Admin = "admin",
        /// Creates, deploys and operates apps.
        Member = "member",
        /// Sees apps.
        Viewer = "viewer",
    }
}

named! {
    /// Who granted a role or the rights of an administrator.
    pub enum GrantedBy {
        /// A person: rules do not change it.
        Person = "person",
        /// A rule of an identity provider: it may change at the next sign-in.
        Rule = "rule",
    }
}

/// A member of a team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamMember {
    pub id: Uuid,
    pub email: String,
    pub role: Role,
    pub federated: bool,
    pub two_factor_authentication: bool,
    #[serde(default)]
    pub identity_provider: Option<serde_json::Value>,
    pub user: TeamUser,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* whether it is a service account.
    #[serde(default)]
    pub service: bool,
    /// *Wharf:* absent if they have never signed in.
    #[serde(default)]
    pub last_login: Option<DateTime<Utc>>,
    /// *Wharf:* who set the role.
    #[serde(default)]
    pub given_by: GrantedBy,
}

/// The member's account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TeamUser {
    pub id: Uuid,
    pub email: String,
    pub name: Option<String>,
}

/// Adds or invites a member, or changes a role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TeamMemberSave {
    #[serde(default)]
    pub email: String,
    /// `admin`, `member` or `viewer`.
    #[serde(default)]
    pub role: String,
}
