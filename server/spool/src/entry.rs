//! A spool entry and its on-disk format.

use std::io::Write;

/// An entry: a timestamp, a letter for its origin and the text. `o` stdout, `e` stderr, `s` from the shim, `r`
/// a router line that starts with an app's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Microseconds since the epoch.
    pub at_us: i64,
    /// One ASCII letter.
    pub kind: u8,
    /// Any bytes; a `\n` inside is written as a space, because it terminates the line on disk.
    pub text: Vec<u8>,
}

impl Entry {
    /// Appends the entry's line, with its `\n`, to `buffer`.
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        write!(buffer, "{} {} ", self.at_us, char::from(self.kind)).expect("writing to memory cannot fail");
        let start = buffer.len();
        buffer.extend_from_slice(&self.text);
        for byte in &mut buffer[start..] {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
        buffer.push(b'\n');
    }

    /// Parses a line without its `\n`. `None` if it is not an entry, such as a torn one.
    pub(crate) fn decode(line: &[u8]) -> Option<Entry> {
        let space = line.iter().position(|b| *b == b' ')?;
        let at_us = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
        let rest = &line[space + 1..];
        if rest.len() < 2 || !rest[0].is_ascii_alphabetic() || rest[1] != b' ' {
            return None;
        }
        Some(Entry { at_us, kind: rest[0], text: rest[2..].to_vec() })
    }
}
