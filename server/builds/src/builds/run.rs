//! The job that runs a build, as it is stored.

use api::ids::BuildId;
use serde::{Deserialize, Serialize};

/// Runs a build, from its start to its release.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub build: BuildId,
}
