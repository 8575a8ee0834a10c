//! The job that runs a build, as it is stored.

use api::ids::BuildId;
use serde::{Deserialize, Serialize};

/// Takes a build from the queue to its release.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub build: BuildId,
}
