//! One line of a spool and its form on disk.

use std::io::Write;

/// A line with the time it was written and the letter that says where it came from:
/// `o` stdout, `e` stderr, `s` said by the shim, `r` a router line that begins with an app's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Microseconds since the epoch.
    pub at_us: i64,
    /// One ASCII letter.
    pub kind: u8,
    /// Any bytes; a `\n` inside is written as a space, because it ends the line on disk.
    pub text: Vec<u8>,
}

impl Entry {
    /// Adds the entry's line, with its `\n`, to `buffer`.
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

    /// Reads a line without its `\n`. `None` for what is not an entry, such as the torn half of one.
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
