//! `.slugignore`: files of the source that are left out of the build.
//!
//! As on Heroku, patterns are those of `.gitignore` without negation: one per line, relative to the root, with blank
//! lines and `#` comments. A pattern without a slash matches at any depth, one with a slash is anchored, and one that
//! ends in a slash matches directories only. `globset` does the matching; this file translates lines to its globs.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The patterns of one file.
#[derive(Default)]
pub(crate) struct SlugIgnore {
    any: GlobSet,
    directories: GlobSet,
    /// What is not supported, to be shown to the user.
    pub(crate) problems: Vec<String>,
}

impl SlugIgnore {
    /// Reads the text of a `.slugignore`.
    pub(crate) fn parse(text: &str) -> SlugIgnore {
        let mut problems = Vec::new();
        let (mut any, mut directories) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let glob = glob(line)
                .and_then(|glob| GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build().ok());
            match glob {
                Some(glob) if line.ends_with('/') => drop(directories.add(glob)),
                Some(glob) => drop(any.add(glob)),
                None => problems.push(format!("unsupported pattern `{line}` (negation is not supported)")),
            }
        }
        // Sets of valid patterns fail only by their size.
        match (any.build(), directories.build()) {
            (Ok(any), Ok(directories)) => SlugIgnore { any, directories, problems },
            _ => SlugIgnore { problems: vec!["ignored, since it has too many patterns".into()], ..Self::default() },
        }
    }

    /// Number of patterns.
    pub(crate) fn len(&self) -> usize {
        self.any.len() + self.directories.len()
    }

    /// Whether this path, relative to the root and with `/` between its parts, is left out.
    pub(crate) fn matches(&self, path: &str, directory: bool) -> bool {
        self.any.is_match(path) || directory && self.directories.is_match(path)
    }
}

/// The glob for a line, or nothing if the line is not supported.
fn glob(line: &str) -> Option<String> {
    if line.starts_with('!') {
        return None;
    }
    let body = line.trim_end_matches('/');
    let anchored = body.contains('/');
    let body = body.trim_start_matches("./").trim_start_matches('/');
    // Braces mean nothing to git, and alternatives to globset.
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
    }
}
