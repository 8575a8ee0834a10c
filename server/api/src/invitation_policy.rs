//! *Wharf:* the invitation policy: who may bring new people to the platform.
//!
//! New is whose address has no account. Whoever adds a member, a collaborator or an invitation by such an
//! address brings somebody; whoever has an account can be added by all who may add.

use serde::{Deserialize, Serialize};

/// Who may bring new people. Administrators of the platform always may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvitationPolicy {
    /// `administrators`: nobody else. `teams`: also admins of teams that [invite](crate::teams::Team::invites).
    /// `domains`: also everybody, within `domains`.
    pub who: String,
    /// Addresses of these domains alone are brought by others than administrators; empty: of any.
    pub domains: Vec<String>,
}

/// Changes what is given of the policy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InvitationPolicyUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
}
