//! Parses the output of `bin/release`: YAML, of which only `default_process_types` matters here.
//!
//! Our own code, since buildpacks print it from shell scripts: a small, flat subset of YAML with block mappings or one
//! `{…}`, and plain or quoted scalars, for which a YAML library would be one more parser of untrusted input.

use std::collections::BTreeMap;

const KEY: &str = "default_process_types:";

/// The default process types. Invalid ones are ignored.
pub(crate) fn default_process_types(yaml: &str) -> BTreeMap<String, String> {
    let mut lines = yaml.lines().map(str::trim_end);
    let Some(first) = lines.find(|line| line.starts_with(KEY)) else {
        return BTreeMap::new();
    };
    let inline = first[KEY.len()..].trim();
    if let Some(body) = inline.strip_prefix('{').and_then(|b| b.strip_suffix('}')) {
        return split_flow(body).iter().filter_map(|pair| entry(pair)).collect();
    }
    block(lines)
}

/// The indented lines that follow the key. A deeper line continues the one before.
fn block<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let mut entries: Vec<String> = Vec::new();
    let mut depth = None;
    for line in lines {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let indent = line.len() - text.len();
        if indent == 0 {
            break;
        }
        match (*depth.get_or_insert(indent), entries.last_mut()) {
            (depth, Some(last)) if indent > depth => {
                last.push(' ');
                last.push_str(text);
            }
            _ => entries.push(text.to_owned()),
        }
    }
    entries.iter().filter_map(|line| entry(line)).collect()
}

fn entry(text: &str) -> Option<(String, String)> {
    let (key, value) = text.trim().split_once(':')?;
    let value = value.trim();
    let value = ["|-", "|", ">-", ">"].iter().find_map(|mark| value.strip_prefix(&format!("{mark} "))).unwrap_or(value);
    let (key, value) = (scalar(key), scalar(value));
    (!key.is_empty() && !value.is_empty()).then_some((key, value))
}

fn scalar(text: &str) -> String {
    let text = text.trim();
    if let Some(inside) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        return inside.replace("\\\"", "\"").replace("\\\\", "\\");
    }
    if let Some(inside) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return inside.replace("''", "'");
    }
    text.split(" #").next().unwrap_or_default().trim().to_owned()
}

/// Splits at the commas that are not inside quotes.
fn split_flow(body: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for c in body.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ',') => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: &[(&str, &str)]) {
        let types = default_process_types(yaml);
        let got: Vec<_> = types.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(got, expected, "{yaml}");
    }

    #[test]
    fn block_mappings() {
        check("---\naddons: []\ndefault_process_types:\n  web: npm start\n", &[("web", "npm start")]);
        check(
            "default_process_types:\n    \"web\": 'it''s'\n\n    # no\n    worker: \"a \\\"b\\\"\" \n    rake: bundle exec rake # runs\nconfig_vars:\n  A: b\n",
            &[("rake", "bundle exec rake"), ("web", "it's"), ("worker", "a \"b\"")],
        );
        check("default_process_types:\n  web: |-\n    a\n    b: c\n", &[("web", "a b: c")]);
    }

    #[test]
    fn flow_mappings() {
        check("default_process_types: {}", &[]);
        check("default_process_types: {web: \"a, b\", worker: c}\n", &[("web", "a, b"), ("worker", "c")]);
    }

    #[test]
    fn nothing_there() {
        check("", &[]);
        check("--- {}\n", &[]);
        check("default_process_types:\naddons:\n  - x\n", &[]);
        check("default_process_types:\n  web:\n  worker: x\n", &[("worker", "x")]);
    }
}
