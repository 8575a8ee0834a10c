//! `.slugignore`: what of the source does not go into the build.
//!
//! As on Heroku: one pattern a line, relative to the root, blank lines and `#` comments allowed, no
//! negation. A pattern without a slash matches at any depth; one with a slash is anchored; one that
//! ends in a slash matches directories only.

use regex::Regex;

/// The patterns of one file.
#[derive(Default)]
pub(crate) struct SlugIgnore {
    patterns: Vec<Pattern>,
    /// Lines that mean nothing here, to be told to the user.
    pub(crate) refused: Vec<String>,
}

struct Pattern {
    expression: Regex,
    directories_only: bool,
}

impl SlugIgnore {
    /// Reads the text of a `.slugignore`.
    pub(crate) fn parse(text: &str) -> SlugIgnore {
        let mut ignore = SlugIgnore::default();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match pattern(line) {
                Some(pattern) => ignore.patterns.push(pattern),
                None => ignore.refused.push(line.to_owned()),
            }
        }
        ignore
    }

    /// Number of patterns.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Is this path, relative to the root and with `/` between its parts, left out?
    pub(crate) fn matches(&self, path: &str, directory: bool) -> bool {
        self.patterns.iter().any(|p| (directory || !p.directories_only) && p.expression.is_match(path))
    }
}

fn pattern(line: &str) -> Option<Pattern> {
    if line.starts_with('!') {
        return None;
    }
    let directories_only = line.ends_with('/');
    let body = line.trim_end_matches('/');
    let anchored = body.contains('/');
    let body = body.trim_start_matches("./").trim_start_matches('/');
    if body.is_empty() {
        return None;
    }
    let start = if anchored { "^" } else { "^(?:.*/)?" };
    let expression = Regex::new(&format!("{start}{}$", glob(body))).ok()?;
    Some(Pattern { expression, directories_only })
}

/// A shell glob as a regular expression: `*` and `?` stay within a part, `**` does not.
fn glob(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            out.push_str("(?:.*/)?");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("**") {
            out.push_str(".*");
            rest = after;
            continue;
        }
        if c == '['
            && let Some(end) = rest.find(']').filter(|end| *end > 1)
        {
            let inside = rest[1..end].replace('\\', "\\\\").replace('[', "\\[");
            let inside = inside.strip_prefix('!').map_or(inside.clone(), |i| format!("^{i}"));
            out.push_str(&format!("[{inside}]"));
            rest = &rest[end + 1..];
            continue;
        }
        match c {
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_on_heroku() {
        let ignore =
            SlugIgnore::parse("# pictures\n*.psd\n\n/test\ndocs/*.md\nbuild/\nspec/**/data\n!keep.psd\nt[0-9].log\n");
        for (path, directory, ignored) in [
            ("a.psd", false, true),
            ("deep/er/a.psd", false, true),
            ("a.psd.txt", false, false),
            ("test", true, true),
            ("lib/test", true, false),
            ("docs/a.md", false, true),
            ("docs/sub/a.md", false, false),
            ("build", true, true),
            ("lib/build", true, true),
            ("build", false, false),
            ("spec/data", true, true),
            ("spec/a/b/data", false, true),
            ("t1.log", false, true),
            ("ta.log", false, false),
        ] {
            assert_eq!(ignore.matches(path, directory), ignored, "{path}");
        }
        assert_eq!(ignore.refused, ["!keep.psd"]);
        assert_eq!(ignore.len(), 6);
    }

    #[test]
    fn hostile_patterns_are_harmless() {
        let ignore = SlugIgnore::parse("[\n[]\n[z-a]\n(((\n/\n.\n{1,999999999}\n\\\n");
        assert!(!ignore.matches("index.html", false));
    }
}
