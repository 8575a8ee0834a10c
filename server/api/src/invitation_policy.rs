//! *Wharf:* the invitation policy: who may add new people to the platform.
//!
//! A person is new if their address has no account. Adding such an address as a member or collaborator, or
//! inviting it, adds a person; existing accounts can be added by anybody with the permission to add.

use serde::{Deserialize, Serialize};

use crate::named::named;

named! {
    /// Who may add new people.
    pub enum Inviters {
        /// Administrators of the platform only.
        Administrators = "administrators",
        /// Also admins of teams that [invite](crate::teams::Team::invites).
        Teams = "teams",
        /// Everybody, within certain domains.
        Domains = "domains",
    }
}

/// Who may add new people. Administrators of the platform always may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvitationPolicy {
    pub who: Inviters,
    /// Non-administrators may only add addresses in these domains; empty: any.
    pub domains: Vec<String>,
}

/// Changes the given fields of the policy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InvitationPolicyUpdate {
    /// `administrators`, `teams` or `domains`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
}
