//! Limits the size of events. They are stored forever and read again in lists, so large changes must not bloat them:
//! whatever is too long is truncated and marked.

use serde_json::{Map, Value};

/// The maximum length of a summary, and of a subject, in characters.
const MOST_SUMMARY: usize = 1000;
/// The maximum size of the data as JSON, in bytes.
const MOST_DATA: usize = 16 << 10;
/// Set in data that was truncated.
const MARKER: &str = "truncated";

/// A summary, truncated to its limit.
pub(crate) fn text(text: String) -> String {
    match text.char_indices().nth(MOST_SUMMARY) {
        Some(_) => text.chars().take(MOST_SUMMARY - 1).chain(['…']).collect(),
        None => text,
    }
}

/// Data, truncated to its limit. Small fields are kept in full, since they say what was changed; long lists and texts
/// are reduced to their beginning.
pub(crate) fn data(data: Value) -> Value {
    if length(&data) <= MOST_DATA {
        return data;
    }
    let mut left = MOST_DATA - length(&Value::from(MARKER)) - 16;
    let cut = beginning(data, &mut left).unwrap_or_default();
    let mut kept = match cut {
        Value::Object(fields) => fields,
        other => Map::from_iter([("data".to_owned(), other)]),
    };
    kept.insert(MARKER.to_owned(), true.into());
    Value::Object(kept)
}

fn length(value: &Value) -> usize {
    value.to_string().len()
}

/// As much of `value` as fits into `left` bytes, which is reduced by the size used; `None` if nothing fits.
fn beginning(value: Value, left: &mut usize) -> Option<Value> {
    let whole = length(&value) + 1;
    if whole <= *left {
        *left -= whole;
        return Some(value);
    }
    match value {
        Value::String(text) => {
            let room = left.checked_sub("\"…\",".len())?;
            let mut used = 0;
            let fits = |c: &char| {
                used += Value::from(c.to_string()).to_string().len() - 2;
                used <= room
            };
            let kept: String = text.chars().take_while(fits).chain(['…']).collect();
            *left = 0;
            Some(kept.into())
        }
        Value::Array(items) => {
            *left = left.checked_sub("[],".len())?;
            Some(items.into_iter().map_while(|item| beginning(item, left)).collect())
        }
        Value::Object(fields) => {
            *left = left.checked_sub("{},".len())?;
            let mut fields: Vec<(usize, String, Value)> =
                fields.into_iter().map(|(name, value)| (length(&value), name, value)).collect();
            fields.sort_by_key(|(length, ..)| *length);
            let kept = fields.into_iter().map_while(|(_, name, value)| {
                *left = left.checked_sub(length(&name.as_str().into()) + 1)?;
                Some((name, beginning(value, left)?))
            });
            Some(Value::Object(kept.collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_short_is_kept_as_it_is() {
        assert_eq!(text("é".repeat(1000)), "é".repeat(1000));
        let small = json!({ "release": 7, "names": ["A", "B"], "of": { "x": null } });
        assert_eq!(data(small.clone()), small);
    }

    #[test]
    fn long_values_are_truncated_and_marked() {
        assert_eq!(text("é".repeat(1001)), "é".repeat(999) + "…");
        let names: Vec<String> = (0..1000).map(|n| format!("{n}{}", "x".repeat(250))).collect();
        let odd = "\u{1}\"\\é".repeat(1 << 20);
        for long in [
            json!({ "names": names, "release": 7, "build": "b" }),
            json!({ "names": [names], "texts": { "a": odd }, "release": 7, "build": "b" }),
            json!({ "text": odd, "release": 7, "build": "b" }),
            json!({ "z": "x".repeat(20_000), "a": "x".repeat(20_000), "release": 7, "build": "b" }),
            json!({ "deep": (0..50).fold(json!(names), |inner, _| json!([inner])), "release": 7, "build": "b" }),
        ] {
            let cut = data(long);
            let length = cut.to_string().len();
            assert!((MOST_DATA - 600..=MOST_DATA).contains(&length), "{length}");
            assert_eq!((&cut["release"], &cut["build"], &cut[MARKER]), (&json!(7), &json!("b"), &json!(true)));
        }
        assert_eq!(data(json!(["x".repeat(20_000)]))[MARKER], json!(true));
        let cut = data(json!({ "names": names }));
        assert_eq!(cut["names"][0], names[0], "the beginning is kept");
    }
}
