//! Patterns of paths, with `*` and `**`, in bounded time.
//!
//! This crate only matches: the parsers are in the crates of the formats that contain patterns, since their special
//! characters differ. Tenants write the patterns and name the files, so nothing here backtracks: all prefixes of the
//! pattern that match the path so far are tracked at once, which takes no more steps than the product of both lengths.
//! No glob crate fits: they have alternatives or backtrack, and in most of them `**` is special only as an entire part.

/// A part of a pattern.
pub enum Piece {
    /// This byte.
    Byte(u8),
    /// A byte of a set.
    OneOf(Box<[bool; 256]>),
    /// Any number of bytes, but no `/`.
    WithinPart,
    /// Any number of parts, each with the `/` behind it. At the beginning of a part.
    Parts,
    /// Any number of bytes.
    Anything,
}

/// A pattern.
pub struct Pattern(Vec<Piece>);

impl Pattern {
    /// The pattern that consists of these pieces.
    pub fn new(pieces: Vec<Piece>) -> Self {
        Self(pieces)
    }

    /// Whether all of `path` matches. Adds the number of steps that it took to `steps`.
    pub fn matches(&self, path: &[u8], steps: &mut u64) -> bool {
        let Self(pieces) = self;
        let (mut begun, mut next) = (Vec::new(), Vec::new());
        begin(pieces, &mut begun, 0, true);
        for byte in path {
            *steps += 1 + begun.len() as u64;
            for at in begun.drain(..) {
                if let Some(at) = passed(pieces, at, *byte) {
                    begin(pieces, &mut next, at, *byte == b'/');
                }
            }
            std::mem::swap(&mut begun, &mut next);
            if begun.is_empty() {
                return false;
            }
        }
        begun.last() == Some(&pieces.len())
    }
}

/// The piece that the rest of a path has to match if the piece at `at` matches this byte.
fn passed(pieces: &[Piece], at: usize, byte: u8) -> Option<usize> {
    match pieces.get(at)? {
        Piece::Byte(wanted) => (*wanted == byte).then_some(at + 1),
        Piece::OneOf(set) => set[usize::from(byte)].then_some(at + 1),
        Piece::WithinPart => (byte != b'/').then_some(at),
        Piece::Parts | Piece::Anything => Some(at),
    }
}

/// Adds the piece at `at`, and the following ones that may come next because it can match nothing: `Parts` only between
/// parts. Called in ascending order, so `begun` is sorted, and duplicates are at its end.
fn begin(pieces: &[Piece], begun: &mut Vec<usize>, mut at: usize, between_parts: bool) {
    loop {
        if begun.last().is_none_or(|last| *last < at) {
            begun.push(at);
        }
        match pieces.get(at) {
            Some(Piece::WithinPart | Piece::Anything) => at += 1,
            Some(Piece::Parts) if between_parts => at += 1,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stars as in `static.json`; `+` is a digit, and `<` stands for parts.
    fn pattern(text: &str) -> Pattern {
        let digit = || -> Box<[bool; 256]> { Box::new(std::array::from_fn(|byte| (48..58).contains(&byte))) };
        let text = text.replace("**", "@");
        let pieces = text.bytes().map(|byte| match byte {
            b'@' => Piece::Anything,
            b'*' => Piece::WithinPart,
            b'+' => Piece::OneOf(digit()),
            b'<' => Piece::Parts,
            byte => Piece::Byte(byte),
        });
        Pattern::new(pieces.collect())
    }

    #[test]
    fn each_piece_matches_its_bytes() {
        for (text, path, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("a", "a", true),
            ("a", "aa", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ab/c", false),
            ("a*b*c", "axbybzc", true),
            ("**c", "a/b/c", true),
            ("a**", "a/b/c", true),
            ("***", "a/b", true),
            ("v+", "v7", true),
            ("v+", "vx", false),
            ("<c", "c", true),
            ("<c", "a/b/c", true),
            ("<c", "a/bc", false),
            ("a/<c", "a/c", true),
            ("a/<c", "a/b/c", true),
            ("a/<c", "ac", false),
            ("a/<*/<d", "a/b/d", true),
            ("a/<*/<d", "a/d", false),
            ("<<c", "a/c", true),
            ("<*a*/b", "x/bab/b", true),
        ] {
            assert_eq!(pattern(text).matches(path.as_bytes(), &mut 0), expected, "{text} {path}");
        }
    }

    #[test]
    fn steps_are_bounded_by_the_product_of_both_lengths() {
        for text in ["*a", "**a", "<*a", "<", "*", "a"] {
            let (text, path) = (text.repeat(40) + "b", "a/a".repeat(500));
            let mut steps = 0;
            assert!(!pattern(&text).matches(path.as_bytes(), &mut steps));
            assert!(steps <= (path.len() * (text.len() + 2)) as u64, "{text}: {steps}");
        }
    }
}
