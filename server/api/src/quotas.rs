//! *Wharf:* quotas: how much an account or a team may have, and how much it has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// `apps`, `dynos`, `memory_mb`, `pending_builds`, `upload_bytes`, `repository_bytes`; of an account also `teams`,
    /// of a team `service_accounts`, of the platform both
    pub name: String,
    /// What is counted, in words.
    pub description: String,
    /// The most; absent for administrators of the platform, who have no quota unless one is set for them.
    pub most: Option<i64>,
    /// What there is now; 0 in the list of the platform's own quotas.
    pub used: i64,
    /// Whether it is set for this very account or team.
    pub is_own: bool,
}

/// `PATCH`: quotas by name; `null` takes one back, so that the platform's holds again.
pub type QuotaUpdate = BTreeMap<String, Option<i64>>;
