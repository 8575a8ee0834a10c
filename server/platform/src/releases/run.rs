//! The job that runs a release phase, as it is stored.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Runs the release phase of a release, and then lets it take over or fail.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub release: Uuid,
}
