//! `.slugignore`: files of the source that are left out of the build.
//!
//! As on Heroku, patterns are those of `.gitignore` without negation: one per line, relative to the root, with blank
//! lines and `#` comments. A pattern without a slash matches names at any depth, one with a slash is anchored, and one
//! that ends in a slash matches directories only. Special characters are those of git's `wildmatch`, byte by byte: `*`,
//! `?`, `[…]`, `**` as an entire part, and a backslash, which makes the next byte an ordinary one. Braces are not
//! special.

use globs::Piece;

/// Patterns in a file, and bytes of one. Each file of the source is compared with all of them.
const MOST_PATTERNS: usize = 500;
const MOST_BYTES: usize = 255;

/// Steps of all comparisons of a build, which takes a minute. A large app with many patterns needs a hundredth of them.
const MOST_STEPS: u64 = 20_000_000_000;

/// The patterns of one file.
#[derive(Default)]
pub(crate) struct SlugIgnore {
    patterns: Vec<Pattern>,
    steps: u64,
    /// Descriptions of unsupported patterns, for the user.
    pub(crate) problems: Vec<String>,
}

struct Pattern {
    pattern: globs::Pattern,
    /// Compared with the path, not only with its last part.
    is_anchored: bool,
    directories_only: bool,
}

impl SlugIgnore {
    /// Reads the text of a `.slugignore`.
    pub(crate) fn parse(text: &str) -> SlugIgnore {
        let mut ignore = SlugIgnore::default();
        for line in text.lines().map(trimmed).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if ignore.patterns.len() + ignore.problems.len() == MOST_PATTERNS {
                ignore.problems.push(format!("only the first {MOST_PATTERNS} patterns are used"));
                break;
            }
            if line.len() > MOST_BYTES {
                ignore.problems.push(format!("a pattern of {} bytes, at most {MOST_BYTES} are supported", line.len()));
                continue;
            }
            match pattern(line) {
                Some(pattern) => ignore.patterns.push(pattern),
                None if line.starts_with('!') => {
                    ignore.problems.push(format!("unsupported pattern `{line}` (negation is not supported)"));
                }
                None => ignore.problems.push(format!("invalid pattern `{line}`")),
            }
        }
        ignore
    }

    /// Number of patterns.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether this path, relative to the root and with `/` between its parts, is left out. `None` if all comparisons
    /// together have taken too long.
    pub(crate) fn matches(&mut self, path: &str, directory: bool) -> Option<bool> {
        let name = path.rsplit('/').next().unwrap_or(path);
        for p in self.patterns.iter().filter(|p| directory || !p.directories_only) {
            let compared = if p.is_anchored { path } else { name };
            if p.pattern.matches(compared.as_bytes(), &mut self.steps) {
                return Some(true);
            }
            if self.steps > MOST_STEPS {
                return None;
            }
        }
        Some(false)
    }
}

/// The line without spaces around it. A space at its end is part of the pattern if there is a backslash before it.
fn trimmed(line: &str) -> &str {
    let (line, end) = (line.trim_start(), line.trim().len());
    let backslashes = line[..end].bytes().rev().take_while(|byte| *byte == b'\\').count();
    let space = line[end..].chars().next().filter(|_| backslashes % 2 == 1).map_or(0, char::len_utf8);
    &line[..end + space]
}

/// The pattern of a line, or nothing if the line is not supported or matches nothing.
fn pattern(line: &str) -> Option<Pattern> {
    if line.starts_with('!') {
        return None;
    }
    let body = line.trim_end_matches('/');
    let is_anchored = body.contains('/');
    let body = body.trim_start_matches("./").trim_start_matches('/');
    let pattern = globs::Pattern::new(pieces(body).filter(|pieces| !pieces.is_empty())?);
    Some(Pattern { pattern, is_anchored, directories_only: line.ends_with('/') })
}

/// The pieces of a pattern, or nothing if it ends within brackets or with a backslash: then it matches nothing.
fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let (mut rest, mut pieces, mut begins_part) = (pattern.as_bytes(), Vec::new(), true);
    while let Some((first, after)) = rest.split_first() {
        let piece;
        (piece, rest) = match (first, after) {
            (b'*', _) => stars(rest, begins_part),
            (b'?', _) => (one_of(|byte| byte != b'/'), after),
            (b'[', _) => brackets(after)?,
            (b'\\', _) => after.split_first().map(|(byte, after)| (Piece::Byte(*byte), after))?,
            (byte, _) => (Piece::Byte(*byte), after),
        };
        begins_part = matches!(piece, Piece::Parts | Piece::Byte(b'/'));
        pieces.push(piece);
    }
    Some(pieces)
}

/// The piece for the stars that `rest` begins with, and what follows them.
fn stars(rest: &[u8], begins_part: bool) -> (Piece, &[u8]) {
    let count = rest.iter().take_while(|byte| **byte == b'*').count();
    let after = &rest[count..];
    match after {
        _ if count < 2 || !begins_part => (Piece::WithinPart, after),
        [] | [b'\\', b'/', ..] => (Piece::Anything, after),
        [b'/', after @ ..] => (Piece::Parts, after),
        _ => (Piece::WithinPart, after),
    }
}

/// The piece for brackets, and what follows them: `rest` begins after the first one.
fn brackets(rest: &[u8]) -> Option<(Piece, &[u8])> {
    let (is_negated, mut rest) = match rest {
        [b'!' | b'^', after @ ..] => (true, after),
        _ => (false, rest),
    };
    // With the byte before a dash, if it can begin a range. The first byte is never the end.
    let (mut set, mut previous, mut is_first) = ([false; 256], None, true);
    loop {
        if let Some((name, after)) = class(rest) {
            let is_in = members(name)?;
            (0..=u8::MAX).filter(is_in).for_each(|byte| set[usize::from(byte)] = true);
            (rest, previous, is_first) = (after, None, false);
            continue;
        }
        let range;
        (range, previous, rest) = match (rest, previous) {
            ([b']', after @ ..], _) if !is_first => {
                let piece = one_of(|byte| byte != b'/' && set[usize::from(byte)] != is_negated);
                return Some((piece, after));
            }
            ([b'\\', byte, after @ ..], _) => (*byte..=*byte, Some(*byte), after),
            ([b'-', b'\\', last, after @ ..], Some(first)) => (first..=*last, None, after),
            ([b'-', last, after @ ..], Some(first)) if *last != b']' => (first..=*last, None, after),
            ([byte, after @ ..], _) => (*byte..=*byte, Some(*byte), after),
            ([], _) => return None,
        };
        range.for_each(|byte| set[usize::from(byte)] = true);
        is_first = false;
    }
}

/// The name of the class that `rest` begins with, such as `[:alpha:]`, and what follows it.
fn class(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = rest.strip_prefix(b"[:")?;
    let end = inner.iter().position(|byte| *byte == b']')?;
    Some((inner[..end].strip_suffix(b":")?, &inner[end + 1..]))
}

/// Whether a byte is in the class with this name; nothing if there is no such class.
fn members(class: &[u8]) -> Option<fn(&u8) -> bool> {
    let is_in: fn(&u8) -> bool = match class {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => u8::is_ascii_whitespace,
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    };
    Some(is_in)
}

fn one_of(is_in: impl Fn(u8) -> bool) -> Piece {
    let mut set = Box::new([false; 256]);
    (0..=u8::MAX).for_each(|byte| set[usize::from(byte)] = is_in(byte));
    Piece::OneOf(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_on_heroku() {
        let mut ignore = SlugIgnore::parse(
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
            assert_eq!(ignore.matches(path, directory), Some(ignored), "{path}");
        }
        assert_eq!(ignore.problems, ["unsupported pattern `!keep.psd` (negation is not supported)"]);
        assert_eq!(ignore.len(), 10);
    }

    #[test]
    fn hostile_patterns_are_harmless() {
        let mut ignore = SlugIgnore::parse("[\n[]\n[z-a]\n(((\n/\n.\n{1,999999999}\n\\\n");
        assert_eq!(ignore.matches("index.html", false), Some(false));
        // One after the other, the ways in which the stars can match would take longer than the test.
        let stars = "*a".repeat(60);
        let mut ignore = SlugIgnore::parse(&format!("{stars}b\n**/{}b\n{}", "**/a/".repeat(40), "x".repeat(300)));
        assert_eq!(ignore.matches(&"a/".repeat(2000), false), Some(false));
        assert_eq!(ignore.matches(&"a".repeat(4000), true), Some(false));
        assert_eq!(ignore.problems, ["a pattern of 300 bytes, at most 255 are supported"]);
        // Quoted as brackets and alternatives, ten groups of 21 would be tried in all combinations.
        let mut ignore = SlugIgnore::parse(&format!("{}y", format!(r"\{{{}\}}", ",".repeat(20)).repeat(10)));
        assert_eq!(ignore.matches(&("[]".repeat(10) + "y"), false), Some(false));
        assert_eq!((ignore.len(), ignore.problems.len()), (1, 0));
        let many = SlugIgnore::parse(&"a\n".repeat(1001));
        assert_eq!((many.len(), many.problems.len()), (500, 1));
    }
    #[test]
    fn braces_and_backslashes_are_those_of_git() {
        for (line, path, expected) in [
            (r"\{a,b}", "{a,b}", true),
            (r"\{a,b\}", "a", false),
            (r"\{a,b\}", "{a,b}", true),
            (r"{*,*}", "{x,y}", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"\a\n", "an", true),
            (r"\!keep", "!keep", true),
            (r"a\\b", r"a\b", true),
            (r"a\ ", "a ", true),
            (r"a\\ ", r"a\", true),
            (r"a ", "a", true),
            (r"a\", r"a\", false),
        ] {
            let mut ignore = SlugIgnore::parse(line);
            assert_eq!(ignore.matches(path, false), Some(expected), "{line} {path}");
        }
    }

    #[test]
    fn stars_and_brackets_are_those_of_git() {
        for (line, path, expected) in [
            ("a*/b", "ax/b", true),
            ("a*/b", "ax/y/b", false),
            ("a**/b", "ax/y/b", false),
            ("a**/b", "ax/b", true),
            ("/**", "a/b", true),
            ("**/a/b", "x/y/a/b", true),
            ("**/a/b", "xa/b", false),
            ("a/***/b", "a/x/y/b", true),
            ("**", "a/b", true),
            ("a?b", "a/b", false),
            ("x/a?b", "x/a/b", false),
            ("x/a[!c]b", "x/a/b", false),
            ("[^a]", "b", true),
            ("[]a]", "]", true),
            ("[!]]", "]", false),
            ("[a-]", "-", true),
            ("[a-c]", "b", true),
            ("[c-a]", "b", false),
            (r"[a\-c]", "b", false),
            (r"[\]]", "]", true),
            (r"[X-\]]", "Z", true),
            ("[[:digit:][:upper:]]x", "7x", true),
            ("[[:digit:][:upper:]]x", "ax", false),
            ("[[:nothing:]]", "n", false),
            ("[[:a]", ":", true),
            ("[ab", "a", false),
        ] {
            let mut ignore = SlugIgnore::parse(line);
            assert_eq!(ignore.matches(path, false), Some(expected), "{line} {path}");
        }
    }

    #[test]
    fn all_comparisons_together_are_bounded() {
        let mut ignore = SlugIgnore::parse(&format!("{}\n", "*/".repeat(100) + "x").repeat(500));
        let path = "a/".repeat(1999) + "a";
        assert_eq!(ignore.matches(&path, false), Some(false));
        // Without braces, there are no alternatives: nothing takes more than the product of both lengths.
        assert!(ignore.steps <= 500 * 255 * 4000, "{}", ignore.steps);
        ignore.steps = MOST_STEPS;
        assert_eq!(ignore.matches(&path, false), None);
    }
}
