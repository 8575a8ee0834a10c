//! `.slugignore`: files of the source that are left out of the build.
//!
//! As on Heroku, patterns are those of `.gitignore` without negation: one per line, relative to the root, with blank
//! lines and `#` comments. A pattern without a slash matches at any depth, one with a slash is anchored, and one that
//! ends in a slash matches directories only. `fast_glob` does the matching, without memory and without exponential time,
//! whatever a tenant writes; this file translates lines to its globs.

use fast_glob::{glob_match, validate};

/// Patterns in a file, and bytes of one. Each file of the source is compared with all of them.
const MOST_PATTERNS: usize = 500;
const MOST_BYTES: usize = 255;

/// The patterns of one file.
#[derive(Default)]
pub(crate) struct SlugIgnore {
    patterns: Vec<Pattern>,
    /// Descriptions of unsupported patterns, for the user.
    pub(crate) problems: Vec<String>,
}

struct Pattern {
    glob: String,
    directories_only: bool,
}

impl SlugIgnore {
    /// Reads the text of a `.slugignore`.
    pub(crate) fn parse(text: &str) -> SlugIgnore {
        let mut ignore = SlugIgnore::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if ignore.patterns.len() + ignore.problems.len() == MOST_PATTERNS {
                ignore.problems.push(format!("only the first {MOST_PATTERNS} patterns are used"));
                break;
            }
            if line.len() > MOST_BYTES {
                ignore.problems.push(format!("a pattern of {} bytes, at most {MOST_BYTES} are supported", line.len()));
                continue;
            }
            match glob(line).filter(|glob| validate(glob).is_ok()) {
                Some(glob) => ignore.patterns.push(Pattern { glob, directories_only: line.ends_with('/') }),
                None => ignore.problems.push(format!("unsupported pattern `{line}` (negation is not supported)")),
            }
        }
        ignore
    }

    /// Number of patterns.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether this path, relative to the root and with `/` between its parts, is left out.
    pub(crate) fn matches(&self, path: &str, directory: bool) -> bool {
        self.patterns.iter().any(|p| (directory || !p.directories_only) && glob_match(&p.glob, path))
    }
}

/// The glob for a line; `None` if the line is not supported.
fn glob(line: &str) -> Option<String> {
    if line.starts_with('!') {
        return None;
    }
    let body = line.trim_end_matches('/');
    let anchored = body.contains('/');
    let body = body.trim_start_matches("./").trim_start_matches('/');
    // Braces have no special meaning in git, but are alternatives in the library.
    let body = body.replace('{', "[{]").replace('}', "[}]");
    match (body.is_empty(), anchored) {
        (true, _) => None,
        (false, true) => Some(body),
        (false, false) => Some(format!("**/{body}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_on_heroku() {
        let ignore = SlugIgnore::parse(
            "# pictures\n*.psd\n\n/test\ndocs/*.md\nbuild/\nspec/**/data\n!keep.psd\nt[0-9].log\ndist/**\n\
             [!b]/*.bak\n{a,b}.txt\n\\#notes\n",
        );
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
            ("dist/a", false, true),
            ("dist/a/b", false, true),
            ("dist", true, false),
            ("a/x.bak", false, true),
            ("b/x.bak", false, false),
            ("{a,b}.txt", false, true),
            ("a.txt", false, false),
            ("#notes", false, true),
        ] {
            assert_eq!(ignore.matches(path, directory), ignored, "{path}");
        }
        assert_eq!(ignore.problems, ["unsupported pattern `!keep.psd` (negation is not supported)"]);
        assert_eq!(ignore.len(), 10);
    }

    #[test]
    fn hostile_patterns_are_harmless() {
        let ignore = SlugIgnore::parse("[\n[]\n[z-a]\n(((\n/\n.\n{1,999999999}\n\\\n");
        assert!(!ignore.matches("index.html", false));
        // One after the other, the ways in which the stars can match would take longer than the test.
        let stars = "*a".repeat(60);
        let ignore = SlugIgnore::parse(&format!("{stars}b\n**/{}b\n{}", "**/a/".repeat(40), "x".repeat(300)));
        assert!(!ignore.matches(&"a/".repeat(2000), false) && !ignore.matches(&"a".repeat(4000), true));
        assert_eq!(ignore.problems, ["a pattern of 300 bytes, at most 255 are supported"]);
        let many = SlugIgnore::parse(&"a\n".repeat(1001));
        assert_eq!((many.len(), many.problems.len()), (500, 1));
    }
}
