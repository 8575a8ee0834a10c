//! The job that runs a release phase, as it is stored.

use api::ids::ReleaseId;
use serde::{Deserialize, Serialize};

/// Runs the release phase of a release, which then takes effect or fails.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub release: ReleaseId,
}
