//! The routes of this area.

use base::routes::{RequiredScope, Routes, get};

use crate::{Recovery, backups};

/// The routes for authenticated clients. Backups are begun by running the schedule `backups`.
pub fn routes() -> Routes<Recovery> {
    Routes::default()
        .route(
            "/backup-policy",
            get(RequiredScope::Global, backups::backup_policy_info)
                .patch(RequiredScope::LastingCredential, backups::backup_policy_update),
        )
        .route("/backups", get(RequiredScope::Global, backups::backup_list))
}
