//! Apps: what users deploy, run and manage.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::AppId,
    refs::{Ref, UserRef, loose_bool, loose_ref},
};

/// An app, as seen by everybody with access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    pub id: AppId,
    pub name: String,
    pub owner: UserRef,
    pub region: Ref,
    pub stack: Ref,
    /// The stack of the next build.
    pub build_stack: Ref,
    pub git_url: String,
    /// The URL of the app; ends with a slash.
    pub web_url: String,
    pub maintenance: bool,
    pub acm: bool,
    #[serde(default)]
    pub locked: bool,
    pub archived_at: Option<DateTime<Utc>>,
    pub buildpack_provided_description: Option<String>,
    /// Bytes; `None` until measured.
    pub repo_size: Option<i64>,
    /// Bytes, compressed.
    pub slug_size: Option<i64>,
    pub released_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub team: Option<Ref>,
    pub organization: Option<Ref>,
    pub space: Option<Ref>,
    pub internal_routing: Option<bool>,
    pub generation: Ref,
    pub create_status: String,
    pub process_tier: String,
    /// *Wharf:* how long the web dynos of a release have to stay up before those of the release before are stopped, in
    /// seconds.
    #[serde(default)]
    pub watch_seconds: i32,
}

/// Creates an app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AppCreate {
    /// Generated if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

/// Changes an app; absent fields are unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AppUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "loose_bool", skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub build_stack: Option<String>,
    /// *Wharf:* from 0 to 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_seconds: Option<i32>,
}
