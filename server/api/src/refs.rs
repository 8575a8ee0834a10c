//! References: the short form in which one resource refers to another.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Refers to something with a name: an app, a stack, a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ref {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// Refers to something that has only an id: a slug, a release in a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRef {
    /// Its id.
    pub id: Uuid,
}

/// Refers to an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// Its id.
    pub id: Uuid,
    /// Its email address.
    pub email: String,
}

/// Parses a boolean given as `true`, `false`, `0`, `1` or a string of these, as clients send them.
pub fn loose_bool<'de, D: Deserializer<'de>>(de: D) -> Result<Option<bool>, D::Error> {
    use serde_json::Value;
    let value = Option::<Value>::deserialize(de)?;
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(b)) => Ok(Some(b)),
        Some(Value::Number(n)) if n.as_i64() == Some(0) => Ok(Some(false)),
        Some(Value::Number(n)) if n.as_i64() == Some(1) => Ok(Some(true)),
        Some(Value::String(s)) if matches!(s.as_str(), "0" | "false") => Ok(Some(false)),
        Some(Value::String(s)) if matches!(s.as_str(), "1" | "true") => Ok(Some(true)),
        Some(other) => Err(serde::de::Error::custom(format!("expected true or false, found {other}"))),
    }
}

/// Parses a reference given as a string, or as `{"id": …}` or `{"name": …}`, to its text.
pub fn loose_ref<'de, D: Deserializer<'de>>(de: D) -> Result<Option<String>, D::Error> {
    use serde_json::Value;
    match Option::<Value>::deserialize(de)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s)),
        Some(Value::Object(o)) => match o.get("id").or_else(|| o.get("name")) {
            Some(Value::String(s)) => Ok(Some(s.clone())),
            _ => Err(serde::de::Error::custom("expected a name or an id")),
        },
        Some(other) => Err(serde::de::Error::custom(format!("expected a name or an id, found {other}"))),
    }
}
