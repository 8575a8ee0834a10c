//! Team invitations: who may become a member, and has to say yes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{refs::Ref, team_members::TeamUser};

/// An invitation that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamInvitation {
    pub id: Uuid,
    pub team: Ref,
    pub user: TeamUser,
    pub invited_by: TeamUser,
    pub role: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// *Wharf:* until when it can be accepted.
    pub expires_at: DateTime<Utc>,
}
