//! Housekeeping: sweeps and packs repositories regularly.

use uuid::Uuid;

use crate::Platform;

/// Sweeps a repository, unless it is in use, and packs it.
pub(crate) async fn clean(platform: &Platform, app: Uuid) -> anyhow::Result<()> {
    platform.git().sweep_if_idle(app).await?;
    platform.git().pack(app).await
}
