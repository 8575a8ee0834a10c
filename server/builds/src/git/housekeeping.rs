//! Housekeeping: sweeps and packs repositories regularly.

use uuid::Uuid;

use crate::Builds;

/// Sweeps a repository, unless it is in use, and packs it.
pub(crate) async fn clean(builds: &Builds, app: Uuid) -> anyhow::Result<()> {
    builds.git().sweep_if_idle(app).await?;
    builds.git().pack(app).await
}
