//! The matches of the search in a line, to highlight them.

use std::ops::Range;

use api::log_lines::LogFilter;
use js_sys::{Reflect, RegExp};
use wasm_bindgen::JsValue;

/// Maximum number of highlighted matches per line.
const MAX_MATCHES: usize = 200;

/// The search as a regular expression of the browser, which supports nearly
/// everything that the server does; unsupported patterns are not highlighted.
pub struct Search(Option<RegExp>);

impl Search {
    /// The search of `filter`. In the browser only.
    pub fn of(filter: &LogFilter) -> Self {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        match (given(&filter.regex), given(&filter.text)) {
            (Some(regex), _) => Self(expression(&regex)),
            (None, Some(text)) => Self(expression(&format!("(?i){}", escaped(&text)))),
            (None, None) => Self(None),
        }
    }

    /// The matches in `text`, in bytes.
    pub fn find(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let expression = self.0.as_ref()?;
        expression.set_last_index(0);
        let mut found = Vec::new();
        while found.len() < MAX_MATCHES
            && let Some(hit) = expression.exec(text)
        {
            let start = Reflect::get(&hit, &JsValue::from_str("index")).ok()?.as_f64()? as usize;
            let length = hit.get(0).length() as usize;
            if length == 0 {
                expression.set_last_index(expression.last_index() + 1);
            } else {
                found.push(start..start + length);
            }
        }
        Some(in_bytes(text, found))
    }
}

/// As on the server: case-sensitive unless it starts with `(?i)`. First in Unicode mode, which
/// rejects unnecessary escapes, then without.
fn expression(pattern: &str) -> Option<RegExp> {
    let (pattern, flags) = match pattern.strip_prefix("(?i)") {
        Some(rest) => (rest, "gi"),
        None => (pattern, "g"),
    };
    // An invalid pattern throws; `construct` turns that into an error.
    let built = |flags: &str| {
        let class = Reflect::get(&js_sys::global(), &JsValue::from_str("RegExp")).ok()?;
        let arguments = js_sys::Array::of2(&JsValue::from_str(pattern), &JsValue::from_str(flags));
        Reflect::construct(&class.into(), &arguments).ok().map(RegExp::from)
    };
    built(&format!("{flags}u")).or_else(|| built(flags))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\^$.*+?()[]{}|/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Browsers count in units of UTF-16.
fn in_bytes(text: &str, units: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut ends = text.chars().scan((0, 0), |(unit, byte), c| {
        *unit += c.len_utf16();
        *byte += c.len_utf8();
        Some((*unit, *byte))
    });
    let mut at = (0, 0);
    let mut byte = |unit: usize| {
        while at.0 < unit {
            match ends.next() {
                Some(next) => at = next,
                None => break,
            }
        }
        at.1
    };
    units.into_iter().map(|range| byte(range.start)..byte(range.end)).collect()
}

#[cfg(test)]
mod tests {
    use super::{escaped, in_bytes};

    #[test]
    fn matches_are_in_bytes() {
        assert_eq!(in_bytes("é🚀 ok", vec![1..3, 4..6]), vec![2..6, 7..9]);
        assert_eq!(in_bytes("ab", vec![0..1, 1..9]), vec![0..1, 1..2]);
    }

    #[test]
    fn plain_text_is_escaped() {
        assert_eq!(escaped("a.b(c)"), "a\\.b\\(c\\)");
    }
}
