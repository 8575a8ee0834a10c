//! How a value differs from the one that was sent before.
//!
//! Own code, because the elements of our lists have ids: a patch as in RFC 6902 names them by their position, so that an
//! element that is added at the front changes all others.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What turns an old value into a new one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// It is another value.
    Value(Value),
    /// Fields of an object.
    Fields {
        /// New ones, and those with a different value.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        changed: BTreeMap<String, Difference>,
        /// Names of those that are gone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<String>,
    },
    /// The parts of the new list, in order.
    Elements(Vec<Part>),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Elements of the old list, from an index up to another one, exclusive.
    Same(usize, usize),
    /// The element of the old list with this index, which has changed.
    Changed(usize, Difference),
    /// An element that the old list does not have.
    New(Value),
}

/// The id of an element of a list.
fn id(element: &Value) -> Option<&str> {
    element.get("id").and_then(Value::as_str)
}

impl Difference {
    /// The difference between two values; `None` if they are equal.
    pub fn between(old: &Value, new: &Value) -> Option<Self> {
        match (old, new) {
            _ if old == new => None,
            (Value::Object(old), Value::Object(new)) => Some(Self::of_objects(old, new)),
            (Value::Array(old), Value::Array(new)) => Some(Self::of_lists(old, new)),
            _ => Some(Self::Value(new.clone())),
        }
    }

    fn of_objects(old: &Map<String, Value>, new: &Map<String, Value>) -> Self {
        let differs = |(name, value): (&String, &Value)| {
            let difference = match old.get(name) {
                Some(old) => Self::between(old, value)?,
                None => Self::Value(value.clone()),
            };
            Some((name.clone(), difference))
        };
        let changed = new.iter().filter_map(differs).collect();
        let removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
        Self::Fields { changed, removed }
    }

    /// Elements without an id are compared with those in the same place.
    fn of_lists(old: &[Value], new: &[Value]) -> Self {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (at, element) in old.iter().enumerate() {
            if let Some(id) = id(element) {
                places.insert(id, at);
            }
        }
        let mut parts: Vec<Part> = Vec::new();
        for (at, element) in new.iter().enumerate() {
            // Each element of the old list is used once, even if ids are not unique.
            let former = match id(element) {
                Some(id) => places.remove(id),
                None => old.get(at).filter(|former| id(former).is_none()).map(|_| at),
            };
            let part = match former.map(|former| (former, Self::between(&old[former], element))) {
                Some((former, None)) => Part::Same(former, former + 1),
                Some((former, Some(difference))) => Part::Changed(former, difference),
                None => Part::New(element.clone()),
            };
            if let (Some(Part::Same(_, end)), Part::Same(from, to)) = (parts.last_mut(), &part)
                && *end == *from
            {
                *end = *to;
                continue;
            }
            parts.push(part);
        }
        Self::Elements(parts)
    }

    /// The new value. `None` if this is not a difference from `old`.
    pub fn apply(self, old: Value) -> Option<Value> {
        match (self, old) {
            (Self::Value(new), _) => Some(new),
            (Self::Fields { changed, removed }, Value::Object(mut fields)) => {
                for name in &removed {
                    fields.remove(name);
                }
                for (name, difference) in changed {
                    let old = fields.remove(&name).unwrap_or(Value::Null);
                    fields.insert(name, difference.apply(old)?);
                }
                Some(Value::Object(fields))
            }
            (Self::Elements(parts), Value::Array(old)) => Self::list(parts, old),
            _ => None,
        }
    }

    fn list(parts: Vec<Part>, old: Vec<Value>) -> Option<Value> {
        let mut old: Vec<Option<Value>> = old.into_iter().map(Some).collect();
        let mut new = Vec::new();
        for part in parts {
            match part {
                Part::Same(from, to) => {
                    for element in old.get_mut(from..to)? {
                        new.push(element.take()?);
                    }
                }
                Part::Changed(at, difference) => new.push(difference.apply(old.get_mut(at)?.take()?)?),
                Part::New(element) => new.push(element),
            }
        }
        Some(Value::Array(new))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The difference as it is sent, after checking that it leads to the new value.
    fn sent(old: &Value, new: &Value) -> Value {
        let difference = Difference::between(old, new).expect("they differ");
        let text = serde_json::to_string(&difference).expect("it can be sent");
        let read: Difference = serde_json::from_str(&text).expect("it can be read");
        assert_eq!(read.apply(old.clone()).as_ref(), Some(new), "{old} to {new}: {text}");
        serde_json::from_str(&text).expect("it is JSON")
    }

    #[test]
    fn only_fields_that_changed_are_sent() {
        let old = json!({ "app": { "name": "dusk", "maintenance": false }, "detail": null, "gone": 1, "up": [1.5, 2] });
        let new = json!({ "app": { "name": "dusk", "maintenance": true }, "detail": "x", "new": {}, "up": [1.5, 2] });
        let app = json!({ "fields": { "changed": { "maintenance": { "value": true } } } });
        let changed = json!({ "app": app, "detail": { "value": "x" }, "new": { "value": {} } });
        assert_eq!(sent(&old, &new), json!({ "fields": { "changed": changed, "removed": ["gone"] } }));
        assert_eq!(sent(&new, &json!([1])), json!({ "value": [1] }));
        assert_eq!(
            sent(&json!({ "a": 1 }), &json!({ "a": null })),
            json!({ "fields": { "changed": { "a": { "value": null } } } })
        );
        assert_eq!(Difference::between(&old, &old.clone()), None);
    }

    #[test]
    fn elements_are_found_by_their_ids() {
        let element = |id: u32, state: &str| json!({ "id": id.to_string(), "state": state });
        let list = |ids: &[u32]| json!(ids.iter().map(|id| element(*id, "up")).collect::<Vec<_>>());
        let old = list(&[1, 2, 3, 4]);
        let five = json!({ "new": element(5, "up") });
        assert_eq!(sent(&old, &list(&[5, 1, 2, 3])), json!({ "elements": [five, { "same": [0, 3] }] }));
        assert_eq!(sent(&old, &list(&[1, 3, 4])), json!({ "elements": [{ "same": [0, 1] }, { "same": [2, 4] }] }));
        assert_eq!(sent(&old, &list(&[])), json!({ "elements": [] }));
        assert_eq!(sent(&list(&[]), &list(&[5])), json!({ "elements": [five] }));
        let mut new = list(&[2, 1, 3, 4]);
        new[3] = element(4, "down");
        let down = json!({ "fields": { "changed": { "state": { "value": "down" } } } });
        let parts = json!([{ "same": [1, 2] }, { "same": [0, 1] }, { "same": [2, 3] }, { "changed": [3, down] }]);
        assert_eq!(sent(&old, &new), json!({ "elements": parts }));
    }

    #[test]
    fn lists_without_unique_ids_arrive_as_they_are() {
        let cases = [
            json!([1, 2, 3]),
            json!([2, 3]),
            json!([{ "name": "a" }, { "name": "b", "n": 1 }]),
            json!([{ "id": "a" }, { "id": "a", "n": 1 }, { "name": "b" }]),
            json!([{ "id": "a", "n": 1 }, { "id": "a", "n": 1 }, 7]),
            json!([{ "name": "b" }, { "id": "a" }]),
            json!([[1, 2], [3], null]),
            json!([]),
        ];
        for old in &cases {
            for new in cases.iter().filter(|new| *new != old) {
                sent(old, new);
            }
        }
    }

    #[test]
    fn the_difference_from_another_value_is_refused() {
        let (old, new) = (json!({ "a": [1, 2, 3] }), json!({ "a": [1, 2, 3, 4] }));
        let difference = Difference::between(&old, &new).expect("they differ");
        for other in [json!({ "a": [1] }), json!({ "a": 1 }), json!({}), json!([]), json!(null)] {
            assert_eq!(difference.clone().apply(other.clone()), None, "{other}");
        }
        let twice = Difference::Elements(vec![Part::Same(0, 1), Part::Same(0, 1)]);
        assert_eq!(twice.apply(json!([1])), None);
    }
}
