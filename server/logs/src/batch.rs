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

use crate::line::{Record, clean_name};
use crate::{Level, NewLine, level};

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
    pub header: Vec<u8>,
    pub body: Vec<u8>,
    pub notes: Vec<Note>,
}

impl Batch {
    /// Numbers the lines starting at `next_seq`.
    pub fn new(lines: &[NewLine], mut next_seq: u64, mark: Option<Mark>) -> Batch {
        let mut body = Vec::new();
        let mut notes = Vec::new();
        for line in lines {
            let (source, dyno) = (clean_name(&line.source), clean_name(&line.dyno));
            for text in line.texts() {
                let start = body.len();
                let record = Record {
                    seq: next_seq,
                    at_us: line.at.timestamp_micros(),
                    level: level::of(&source, &dyno, &text),
                    source: source.as_bytes(),
                    dyno: dyno.as_bytes(),
                    text: text.as_bytes(),
                };
                record.encode(&mut body);
                notes.push(Note { bytes: body.len() - start, seq: next_seq, at_us: record.at_us, level: record.level });
                next_seq += 1;
            }
        }
        let header = Header { bytes: body.len(), lines: notes.len(), mark };
        Batch { header: header.encode(), body, notes }
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
}
