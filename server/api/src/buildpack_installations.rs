//! Buildpack installations: which buildpacks the next build of an app uses, in order.

use serde::{Deserialize, Serialize};

use crate::{builds::Buildpack, refs::loose_ref};

/// One buildpack of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildpackInstallation {
    /// Zero-based.
    pub ordinal: i32,
    pub buildpack: Buildpack,
}

/// Replaces the list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BuildpackInstallationsUpdate {
    pub updates: Vec<BuildpackChoice>,
}

/// A buildpack by URL, by name or as an object with either.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BuildpackChoice {
    #[serde(default, deserialize_with = "url_or_name")]
    pub buildpack: Option<String>,
}

fn url_or_name<'de, D: serde::Deserializer<'de>>(de: D) -> Result<Option<String>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(de)?;
    match value {
        Some(serde_json::Value::Object(o)) => {
            Ok(["url", "name"].iter().find_map(|k| o.get(*k)?.as_str().map(String::from)))
        }
        Some(other) => loose_ref(other).map_err(serde::de::Error::custom),
        None => Ok(None),
    }
}
