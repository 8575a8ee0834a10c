//! Features: an app's feature flags.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::refs::loose_bool;

/// A feature and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    pub id: Uuid,
    pub name: String,
    pub display_name: String,
    pub description: String,
    pub doc_url: String,
    pub enabled: bool,
    pub state: String,
    pub feedback_email: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Enables or disables a feature.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FeatureUpdate {
    #[serde(default, deserialize_with = "loose_bool")]
    pub enabled: Option<bool>,
}
