//! Bounds: size limits of requests, applied in one place.
//!
//! Whatever is stored is shown again in lists, so anything too long is rejected with an error message, never truncated.
//! A field without a limit of its own has the default one. Code that knows the field (names, URLs, all config vars
//! together) applies stricter limits.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::error::{Error, Result};

/// The default limit for strings, in bytes: that of the largest field, a config var.
const TEXT: usize = 64 << 10;
/// Limits for fields with these names, in bytes, at any depth of a body. Since users name config vars, only lower-case
/// names of the API's own are listed; a config var with such a name has the same limit.
const TEXTS: [(&str, usize); 24] = [
    ("app", 200),
    ("build_stack", 100),
    ("buildpack_provided_description", 200),
    ("checksum", 200),
    ("client_id", 500),
    ("client_secret", 2000),
    ("commit", 200),
    ("commit_description", 10_000),
    ("description", 1000),
    ("dyno", 100),
    ("dyno_name", 100),
    ("email", 254),
    ("issuer", 2000),
    ("password", 1000),
    ("recipient", 254),
    ("redirect_uri", 2000),
    ("region", 100),
    ("slug", 200),
    ("stack", 100),
    ("title", 200),
    ("url", 4000),
    ("user", 254),
    ("version", 200),
    ("version_description", 10_000),
];
/// The maximum length of a field's name, in bytes: as for config vars.
const NAME: usize = 255;
/// The maximum number of elements of a list, and of fields of an object.
const ELEMENTS: usize = 1000;
/// The maximum number of values in the whole body.
const VALUES: usize = 10_000;
/// The maximum nesting depth of objects and lists.
const DEPTH: usize = 16;
/// The maximum length of a query, and of a path, in bytes.
const ADDRESS: usize = 16 << 10;

/// Checks a JSON body; the error names the field that exceeds its limit.
pub fn check(body: &Value) -> Result<()> {
    let mut left = VALUES;
    walk(body, None, 0, &mut left)
}

fn walk(value: &Value, field: Option<&str>, depth: usize, left: &mut usize) -> Result<()> {
    let place = field.unwrap_or("The body");
    *left = left.checked_sub(1).ok_or_else(|| too_much("The body", &format!("must have at most {VALUES} values")))?;
    if depth > DEPTH {
        return Err(too_much("The body", &format!("must be nested at most {DEPTH} levels deep")));
    }
    match value {
        Value::String(text) => check_text(place, text, bound(field)),
        Value::Array(items) => {
            few(place, items.len(), "elements")?;
            items.iter().try_for_each(|item| walk(item, field, depth + 1, left))
        }
        Value::Object(fields) => {
            few(place, fields.len(), "fields")?;
            fields.iter().try_for_each(|(name, value)| {
                check_text("A field name", name, NAME)?;
                walk(value, Some(name), depth + 1, left)
            })
        }
        _ => Ok(()),
    }
}

fn bound(field: Option<&str>) -> usize {
    let known = |name: &str| TEXTS.iter().find(|(known, _)| *known == name).map(|(_, most)| *most);
    field.and_then(known).unwrap_or(TEXT)
}

/// Neither Postgres nor the environment of a process can contain NUL.
fn check_text(place: &str, text: &str, most: usize) -> Result<()> {
    if text.len() > most {
        return Err(too_much(place, &format!("must have at most {most} bytes; it has {}", text.len())));
    }
    if text.contains('\0') {
        return Err(too_much(place, "contains a NUL character, which cannot be stored"));
    }
    Ok(())
}

fn few(place: &str, count: usize, what: &str) -> Result<()> {
    if count > ELEMENTS {
        Err(too_much(place, &format!("must have at most {ELEMENTS} {what}; it has {count}")))
    } else {
        Ok(())
    }
}

fn too_much(place: &str, rule: &str) -> Error {
    Error::invalid(format!("{place:.100} {rule}."))
}

/// As [`check`], for a query string.
pub fn check_query(query: &str) -> Result<()> {
    if query.len() > ADDRESS {
        Err(too_much("The query string", &format!("must have at most {ADDRESS} bytes")))
    } else if query.contains("%00") {
        Err(too_much("The query string", "contains a NUL character, which cannot be stored"))
    } else {
        Ok(())
    }
}

/// As [`check`], for a path. Names never contain NUL or invalid UTF-8, and the database would reject a lookup by them.
pub fn check_path(path: &str) -> Result<()> {
    match path.contains("%00") {
        true => Err(Error::bad_request("The path contains a NUL character.")),
        false if path.len() > ADDRESS => {
            Err(Error::bad_request(format!("The path must have at most {ADDRESS} bytes.")))
        }
        false if percent_decode_str(path).decode_utf8().is_err() => {
            Err(Error::bad_request("The path is not valid UTF-8."))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: &Value) -> String {
        check(body).err().map(|err| err.to_string()).unwrap_or_default()
    }

    #[test]
    fn every_text_has_a_bound() {
        let x = |n: usize| "x".repeat(n);
        assert_eq!(refused(&json!({ "A": x(64 << 10), "source_blob": { "version_description": x(10_000) } })), "");
        assert_eq!(refused(&json!({ "A": x((64 << 10) + 1) })), "A must have at most 65536 bytes; it has 65537.");
        let description = json!({ "source_blob": { "version_description": x(4 << 20) } });
        assert_eq!(refused(&description), "version_description must have at most 10000 bytes; it has 4194304.");
        assert_eq!(refused(&json!({ "scope": [x(1 << 20)] })), "scope must have at most 65536 bytes; it has 1048576.");
        assert_eq!(refused(&json!({ x(256): 1 })), "A field name must have at most 255 bytes; it has 256.");
        assert_eq!(refused(&json!({ "A": "b\0" })), "A contains a NUL character, which cannot be stored.");
    }

    #[test]
    fn so_has_the_shape_of_a_body() {
        assert_eq!(refused(&json!({ "ids": vec![1; 1001] })), "ids must have at most 1000 elements; it has 1001.");
        let wide = json!((0..11).map(|_| vec![1; 1000]).collect::<Vec<_>>());
        assert_eq!(refused(&wide), "The body must have at most 10000 values.");
        let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(refused(&deep), "The body must be nested at most 16 levels deep.");
    }

    #[test]
    fn and_an_address() {
        assert!(check_query(&"q".repeat(ADDRESS)).is_ok() && check_query(&"q".repeat(ADDRESS + 1)).is_err());
        assert!(
            check_query("q=%00").is_err() && check_path("/apps/%ff").is_err() && check_path("/apps/%c3%a4").is_ok()
        );
        assert!(check_path("/apps/a%00").is_err() && check_path(&"/".repeat(ADDRESS + 1)).is_err());
    }
}
