//! Housekeeping: sweeps and packs repositories regularly.

use api::ids::AppId;
use base::Error;

use super::{pack, unless_destroyed};
use crate::Builds;

/// Sweeps a repository, unless it is in use, and packs it. There is nothing to do if the app is destroyed meanwhile.
pub(crate) async fn clean(builds: &Builds, app: AppId) -> anyhow::Result<()> {
    let cleaned = async {
        builds.git().sweep_if_idle(app).await?;
        Ok(pack(builds, app).await?)
    };
    match unless_destroyed(builds, app, cleaned.await).await {
        Err(Error::Internal(err)) => Err(err),
        Ok(()) | Err(Error::Public(_)) => Ok(()),
    }
}
