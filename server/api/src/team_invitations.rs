//! Team invitations: pending memberships, to be accepted.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::TeamInvitationId,
    mails::Mail,
    refs::Ref,
    team_members::{Role, TeamUser},
};

/// A pending invitation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamInvitation {
    pub id: TeamInvitationId,
    pub team: Ref,
    pub user: TeamUser,
    pub invited_by: TeamUser,
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* when it expires.
    pub expires_at: DateTime<Utc>,
    /// *Wharf:* the message about it, if one was sent; for admins of the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
}
