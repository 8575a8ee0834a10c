//! The job that runs a release phase, as it is stored.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Runs the release phase of a release, which then takes effect or fails.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub release: Uuid,
}
