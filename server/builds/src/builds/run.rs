//! The job that runs a build, as it is stored.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Takes a build from the queue to its release.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub build: Uuid,
}
