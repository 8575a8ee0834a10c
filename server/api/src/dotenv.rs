//! Config vars as lines of `KEY=value`, in files called `.env`: for the console and the command line.

use crate::config_vars::ConfigVars;

/// The vars as `.env` text; values that need it are quoted.
pub fn write(vars: &ConfigVars) -> String {
    vars.iter().map(|(key, value)| format!("{key}={}\n", quoted(value))).collect()
}

fn quoted(value: &str) -> String {
    let plain = !value.is_empty()
        && value.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '#' | '\\' | '`' | '$'));
    if plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    if let Some(inner) = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        // A comment begins after a space; `#` inside a value is part of it.
        return value.split(" #").next().unwrap_or(value).trim_end().to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

/// Parses `.env` text. The error names the first line that is not `KEY=value`.
pub fn read(text: &str) -> Result<ConfigVars, String> {
    let mut vars = ConfigVars::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("Line {} does not contain =. Use KEY=value.", n + 1));
        };
        check_key(key.trim()).map_err(|why| format!("Line {}: {why}", n + 1))?;
        vars.insert(key.trim().to_owned(), unquoted(value));
    }
    Ok(vars)
}

/// Whether `key` can be the name of an environment variable.
pub fn check_key(key: &str) -> Result<(), String> {
    let first = key.chars().next();
    let good = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if good {
        Ok(())
    } else {
        Err(format!("{key:?} is not a valid key: use letters, digits and _, and do not start with a digit."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let vars: ConfigVars =
            [("A", "plain"), ("B", "two words # no comment"), ("C", "line\nline \"q\" \\"), ("D", "")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
        assert_eq!(read(&write(&vars)), Ok(vars));
    }

    #[test]
    fn comments_exports_and_quotes_are_parsed() {
        let vars = read("# head\n\nexport A=1 # one\nB='x y'\nC=a#b\n").unwrap();
        let got: Vec<(&str, &str)> = vars.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(got, [("A", "1"), ("B", "x y"), ("C", "a#b")]);
    }

    #[test]
    fn an_invalid_line_is_reported() {
        assert_eq!(read("A=1\nnonsense"), Err("Line 2 does not contain =. Use KEY=value.".into()));
        assert!(read("1A=x").is_err_and(|why| why.starts_with("Line 1:")));
    }
}
