//! The format of one append: a header, then lines.
//!
//! ```text
//! @<bytes> <lines> <spool> <segment> <offset>\n     bytes and lines that follow
//! <seq> <at_us> <level> <source> <dyno> <text>\n
//! …
//! ```
//!
//! The header contains the length, so that a partially written batch is recognised and discarded as
//! a whole, and the cursor of the spool it came from, so that lines and cursor are stored by the
//! same write. `-` means no spool; in place of a cursor, that the spool is forgotten.

use std::io::Write;

use spool::Cursor;

use crate::line::{Incoming, Record, clean_name};
use crate::{Level, level};

/// The read cursor of a spool. Without a position, the spool is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub spool: String,
    pub cursor: Option<Cursor>,
}

/// The first line of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub bytes: usize,
    pub lines: usize,
    pub mark: Option<Mark>,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let spool = self.mark.as_ref().map_or("-", |mark| &mark.spool);
        write!(bytes, "@{} {} {spool} ", self.bytes, self.lines).expect("writing to memory cannot fail");
        match self.mark.as_ref().and_then(|mark| mark.cursor) {
            Some(Cursor { segment, offset }) => writeln!(bytes, "{segment} {offset}"),
            None => writeln!(bytes, "- -"),
        }
        .expect("writing to memory cannot fail");
        bytes
    }

    /// Parses a line without its line feed. `None` if it is not a header.
    pub fn decode(line: &[u8]) -> Option<Header> {
        let line = std::str::from_utf8(line.strip_prefix(b"@")?).ok()?;
        let fields: Vec<&str> = line.split(' ').collect();
        let [bytes, lines, spool, segment, offset] = fields[..] else {
            return None;
        };
        let cursor = match (segment, offset) {
            ("-", "-") => None,
            _ => Some(Cursor { segment: segment.parse().ok()?, offset: offset.parse().ok()? }),
        };
        Some(Header {
            bytes: bytes.parse().ok()?,
            lines: lines.parse().ok()?,
            mark: (spool != "-").then(|| Mark { spool: spool.to_owned(), cursor }),
        })
    }
}

/// The metadata of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// Including its line feed.
    pub bytes: usize,
    pub seq: u64,
    pub at_us: i64,
    pub level: Level,
}

/// A batch ready to be written.
pub(crate) struct Batch {
    /// The header is right before the lines, after a gap: its length is known last.
    buffer: Vec<u8>,
    header_at: usize,
    pub notes: Vec<Note>,
}

/// Room for a header. A longer one, of a spool with a very long name, moves the lines.
const HEADER_BYTES: usize = 160;
/// What a line has besides its text, usually.
const RECORD_BYTES: usize = 56;

impl Batch {
    /// Numbers the lines starting at `next_seq`.
    pub fn new(lines: &[Incoming<'_>], mut next_seq: u64, mark: Option<Mark>) -> Batch {
        let bytes: usize = lines.iter().map(|line| line.text.len() + RECORD_BYTES).sum();
        let mut buffer = Vec::with_capacity(HEADER_BYTES + bytes);
        buffer.resize(HEADER_BYTES, 0);
        let mut notes = Vec::with_capacity(lines.len());
        for line in lines {
            let (source, dyno) = (clean_name(line.source), clean_name(line.dyno));
            line.texts(|text| {
                let start = buffer.len();
                let level = level::of(&source, &dyno, text);
                let (source, dyno, text) = (source.as_bytes(), dyno.as_bytes(), text.as_bytes());
                let record = Record { seq: next_seq, at_us: line.at_us, level, source, dyno, text };
                record.encode(&mut buffer);
                notes.push(Note { bytes: buffer.len() - start, seq: next_seq, at_us: line.at_us, level });
                next_seq += 1;
            });
        }
        let header = Header { bytes: buffer.len() - HEADER_BYTES, lines: notes.len(), mark }.encode();
        let header_at = HEADER_BYTES.saturating_sub(header.len());
        buffer.splice(header_at..HEADER_BYTES, header);
        Batch { buffer, header_at, notes }
    }

    /// What is to be written: the header and the lines.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.header_at..]
    }

    /// The length of the header.
    pub fn header_bytes(&self) -> usize {
        self.bytes().len() - self.notes.iter().map(|note| note.bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_to_disk_and_back() {
        let mark = |cursor| Some(Mark { spool: "router".to_owned(), cursor });
        let place = Cursor { segment: 7, offset: 99 };
        for mark in [None, mark(None), mark(Some(place))] {
            let header = Header { bytes: 12, lines: 3, mark };
            let line = header.encode();
            assert_eq!(Header::decode(&line[..line.len() - 1]), Some(header));
        }
        for bad in ["", "@", "@1 2 x 3", "@1 2 x 3 4 5", "1 2 x 3 4", "@1 2 x - 4"] {
            assert_eq!(Header::decode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_header_of_any_length_is_right_before_the_lines() {
        for length in [1, HEADER_BYTES, 3 * HEADER_BYTES] {
            let mark = Mark { spool: "x".repeat(length), cursor: Some(Cursor::default()) };
            let line = Incoming { at_us: 1, source: "app", dyno: "web.1", text: b"hello" };
            let batch = Batch::new(&[line, line], 7, Some(mark.clone()));
            let (header, lines) = batch.bytes().split_at(batch.header_bytes());
            assert_eq!(lines, b"7 1 i app web.1 hello\n8 1 i app web.1 hello\n");
            let header = Header::decode(header.strip_suffix(b"\n").expect("a line"));
            assert_eq!(header, Some(Header { bytes: lines.len(), lines: 2, mark: Some(mark) }));
        }
    }
}
