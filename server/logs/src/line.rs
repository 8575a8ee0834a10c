//! A log line: as received, as stored, as displayed.

use std::fmt;
use std::io::Write;

use chrono::{DateTime, Utc};

use crate::{Level, RouterFields};

/// Longer text is split into several lines.
const MAX_TEXT_BYTES: usize = 10_000;

/// A line of an app's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Sequence number within the app, never reused: the line's address.
    pub seq: u64,
    /// When it was written, in microseconds. Lines are stored in order of arrival, so a later line
    /// may have a slightly earlier time.
    pub at: DateTime<Utc>,
    /// `app` or `heroku`.
    pub source: String,
    /// `web.1`, `router`, `api`.
    pub dyno: String,
    /// Severity, detected from the text on arrival.
    pub level: Level,
    /// Without line breaks; may contain any other control character except NUL.
    pub text: String,
}

impl Line {
    /// The fields of a router line; `None` for any other.
    pub fn router_fields(&self) -> Option<RouterFields<'_>> {
        (self.source == "heroku" && self.dyno == "router").then(|| RouterFields::parse(&self.text))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
        write!(f, "{at} {}[{}]: {}", self.source, self.dyno, api::sanitize::line(&self.text))
    }
}

impl From<Line> for api::log_lines::LogLine {
    fn from(line: Line) -> Self {
        // Lines stored before line breaks were split.
        let text = if line.text.contains(breaks) { line.text.replace(breaks, " ") } else { line.text };
        Self { seq: line.seq, at: line.at, source: line.source, dyno: line.dyno, text, level: line.level }
    }
}

/// A line that is not in the history yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLine {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// `app` or `heroku`.
    pub source: String,
    /// `web.1`, `router`, `api`.
    pub dyno: String,
    /// An app's line is split at each line break, so that no part of it can pose as a new line in any viewer.
    /// A line from the platform stays one line. Text over 10,000 bytes is split.
    pub text: String,
}

impl NewLine {
    /// A line from the platform about a dyno, or as `api`.
    pub fn heroku(at: DateTime<Utc>, dyno: &str, text: impl Into<String>) -> NewLine {
        NewLine { at, source: "heroku".to_owned(), dyno: dyno.to_owned(), text: text.into() }
    }

    /// A line of the app itself. User actions are logged as `app[api]`.
    pub fn app(at: DateTime<Utc>, dyno: &str, text: impl Into<String>) -> NewLine {
        NewLine { source: "app".to_owned(), ..NewLine::heroku(at, dyno, text) }
    }

    /// The texts to store: clean, none too long.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text).replace("\r\n", "\n").replace('\0', "\u{fffd}");
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let ours = self.source == "heroku" || self.dyno == "api";
        let lines: Vec<String> = match ours {
            true => vec![text.replace(breaks, " ")],
            false => text.split(breaks).map(str::to_owned).collect(),
        };
        lines.into_iter().flat_map(|line| cut(&line))
    }
}

/// Characters that a terminal, a browser or a program may treat as a line break.
fn breaks(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Splits text into chunks of at most 10,000 bytes, at character boundaries.
fn cut(mut text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    while text.len() > MAX_TEXT_BYTES {
        let (piece, rest) = text.split_at(text.floor_char_boundary(MAX_TEXT_BYTES));
        pieces.push(piece.to_owned());
        text = rest;
    }
    pieces.push(text.to_owned());
    pieces
}

/// A line as it is on disk: `<seq> <at_us> <level> <source> <dyno> <text>\n`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub seq: u64,
    pub at_us: i64,
    pub level: Level,
    pub source: &'a [u8],
    pub dyno: &'a [u8],
    pub text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Adds the record, with its line feed, to `buffer`.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        let level = match self.level {
            Level::Info => 'i',
            Level::Warn => 'w',
            Level::Error => 'e',
        };
        write!(buffer, "{} {} {level} ", self.seq, self.at_us).expect("writing to memory cannot fail");
        buffer.extend_from_slice(self.source);
        buffer.push(b' ');
        buffer.extend_from_slice(self.dyno);
        buffer.push(b' ');
        buffer.extend_from_slice(self.text);
        buffer.push(b'\n');
    }

    /// Parses a line without its line feed. `None` if it is not a record.
    pub fn decode(line: &'a [u8]) -> Option<Record<'a>> {
        let mut fields = line.splitn(6, |b| *b == b' ');
        let mut next = || fields.next();
        Some(Record {
            seq: number(next()?)?,
            at_us: number(next()?)?,
            level: match next()? {
                b"i" => Level::Info,
                b"w" => Level::Warn,
                b"e" => Level::Error,
                _ => return None,
            },
            source: next()?,
            dyno: next()?,
            text: next()?,
        })
    }

    pub fn to_line(self) -> Line {
        Line {
            seq: self.seq,
            at: DateTime::from_timestamp_micros(self.at_us).unwrap_or_default(),
            source: String::from_utf8_lossy(self.source).into_owned(),
            dyno: String::from_utf8_lossy(self.dyno).into_owned(),
            level: self.level,
            text: String::from_utf8_lossy(self.text).into_owned(),
        }
    }
}

/// Parses a decimal number. Hand-written because a million of them are read at a time.
fn number<T: TryFrom<i128>>(digits: &[u8]) -> Option<T> {
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, digits),
    };
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let mut value: u128 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u128::from(digit - b'0');
    }
    let value = value as i128;
    T::try_from(if negative { -value } else { value }).ok()
}

/// A name that fits between two spaces on disk.
pub(crate) fn clean_name(name: &str) -> String {
    if name.is_empty() {
        return "-".to_owned();
    }
    name.replace(|c: char| c.is_whitespace() || c.is_control(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        NewLine::app(DateTime::default(), "web.1", text).texts().collect()
    }

    #[test]
    fn texts_are_cleaned_and_cut() {
        assert_eq!(texts("hello"), ["hello"]);
        assert_eq!(texts(""), [""]);
        assert_eq!(texts("a\r"), ["a"]);
        assert_eq!(texts("a\rb\n"), ["a", "b"]);
        assert_eq!(texts("a\u{2028}b\u{85}c\u{c}d\r\r"), ["a", "b", "c", "d", ""]);
        assert_eq!(texts("a\r\n\nb"), ["a", "", "b"]);
        assert_eq!(texts("a\0b"), ["a\u{fffd}b"]);
        let long = "é".repeat(7_500);
        let cut = texts(&format!("x{long}"));
        assert_eq!(cut.iter().map(String::len).collect::<Vec<_>>(), [9_999, 5_002]);
        assert_eq!(cut.concat(), format!("x{long}"));
    }

    #[test]
    fn lines_of_the_platform_are_not_split() {
        let texts = |new: NewLine| new.texts().collect::<Vec<_>>();
        let text = "Starting process with command `a\rheroku[web.1]: b\nc`\n";
        let one = ["Starting process with command `a heroku[web.1]: b c`"];
        assert_eq!(texts(NewLine::heroku(DateTime::default(), "web.1", text)), one);
        assert_eq!(texts(NewLine::app(DateTime::default(), "api", text)), one);
    }

    #[test]
    fn records_go_to_disk_and_back() {
        let record =
            Record { seq: u64::MAX, at_us: -7, level: Level::Warn, source: b"app", dyno: b"web.1", text: b" a  b " };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(bytes.pop(), Some(b'\n'));
        let line = Record::decode(&bytes).expect("it is a record").to_line();
        assert_eq!((line.seq, line.text.as_str()), (u64::MAX, " a  b "));
        assert_eq!(line.at.timestamp_micros(), -7);
        for bad in ["", "1", "1 2 i app web.1", "x 2 i app web.1 t", "1 2 q app web.1 t", "- 2 i a b t"] {
            assert!(Record::decode(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn lines_are_shown_as_heroku_shows_them() {
        let at = DateTime::from_timestamp_micros(1_284_650_026_677_020).expect("in range");
        let new = NewLine::app(at, "web.1", "message");
        let line = Line { seq: 1, at, source: new.source, dyno: new.dyno, level: Level::Info, text: new.text };
        assert_eq!(line.to_string(), "2010-09-16T15:13:46.677020+00:00 app[web.1]: message");
        let hostile = Line { text: "a\r\u{2028}\x1b[2K\x1b[1Aheroku[router]: x".to_owned(), ..line.clone() };
        assert!(!hostile.to_string().contains(|c: char| c.is_control() || breaks(c)), "{hostile}");
        assert_eq!(api::log_lines::LogLine::from(hostile.clone()).text, "a  \x1b[2K\x1b[1Aheroku[router]: x");
        // A process type of an app is not the router, whatever its name.
        let forged = Line { dyno: "router".to_owned(), ..line };
        assert!(forged.router_fields().is_none());
    }
}
