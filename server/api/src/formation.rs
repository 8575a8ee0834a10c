//! Formation: the desired number and size of dynos per process type.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::FormationId,
    refs::{Ref, loose_ref},
};

/// A process type of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Formation {
    pub id: FormationId,
    pub app: Ref,
    #[serde(rename = "type")]
    pub kind: String,
    pub command: String,
    pub quantity: i32,
    /// `Standard-1X`
    pub size: String,
    pub dyno_size: Ref,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Changes several process types together: either all or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FormationBatchUpdate {
    pub updates: Vec<FormationUpdate>,
}

/// Changes one process type; absent fields are unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FormationUpdate {
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(default, deserialize_with = "loose_ref", skip_serializing_if = "Option::is_none")]
    pub dyno_size: Option<String>,
}

/// A number of dynos: `2`, `"2"`, or relative, `"+1"`, `"-1"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    To(i32),
    By(i32),
}

impl Quantity {
    /// The number of dynos that results from `now`. Never below zero.
    pub fn from(self, now: i32) -> i32 {
        match self {
            Self::To(n) => n,
            Self::By(n) => now.saturating_add(n).max(0),
        }
    }

    /// Parses `2`, `+1`, `-1`.
    pub fn parse(s: &str) -> Option<Self> {
        match s.trim().as_bytes().first()? {
            b'+' | b'-' => s.trim().parse().ok().map(Self::By),
            _ => s.trim().parse().ok().map(Self::To),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let bad = || serde::de::Error::custom("quantity must be a whole number such as 2, \"+1\" or \"-1\"");
        match serde_json::Value::deserialize(de)? {
            serde_json::Value::Number(n) => {
                n.as_i64().and_then(|n| i32::try_from(n).ok()).map(Self::To).ok_or_else(bad)
            }
            serde_json::Value::String(s) => Self::parse(&s).ok_or_else(bad),
            _ => Err(bad()),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::To(n) => ser.serialize_i32(*n),
            Self::By(n) => ser.serialize_str(&format!("{n:+}")),
        }
    }
}
