//! Filters lines.

use regex::bytes::{Regex, RegexBuilder};

use crate::line::Record;
use crate::{Error, Filter, Level, Result, block::Block};

/// The maximum size of a compiled regular expression.
const REGEX_BYTES: usize = 256 << 10;
/// The maximum length of a search pattern, in bytes.
const PATTERN_BYTES: usize = 1000;

/// A compiled filter, with the range of lines to search.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    source: Option<Vec<u8>>,
    dyno: Option<Vec<u8>>,
    level: Level,
    text: Option<Regex>,
    regex: Option<Regex>,
    since_us: i64,
    until_us: i64,
    /// Only lines after this one.
    pub after: u64,
    /// Only lines before this one.
    pub before: u64,
}

impl Matcher {
    pub fn new(filter: &Filter) -> Result<Matcher> {
        let given = |s: &Option<String>| s.clone().filter(|s| !s.is_empty());
        Ok(Matcher {
            source: given(&filter.source).map(String::into_bytes),
            dyno: given(&filter.dyno).map(String::into_bytes),
            level: filter.level.unwrap_or_default(),
            text: given(&filter.text).map(|text| compile(&regex::escape(&text), Kind::Text)).transpose()?,
            regex: given(&filter.regex).map(|regex| compile(&regex, Kind::Regex)).transpose()?,
            since_us: filter.since.map_or(i64::MIN, |at| at.timestamp_micros()),
            until_us: filter.until.map_or(i64::MAX, |at| at.timestamp_micros()),
            after: 0,
            before: u64::MAX,
        })
    }

    /// Whether the block's totals are sufficient, because the filter depends only on number and time.
    pub fn is_open(&self) -> bool {
        self.level == Level::Info
            && self.source.is_none()
            && self.dyno.is_none()
            && self.text.is_none()
            && self.regex.is_none()
    }

    /// Whether every line of the block passes, according to its metadata.
    pub fn passes_all(&self, block: &Block) -> bool {
        self.is_open()
            && block.first_seq > self.after
            && block.last_seq < self.before
            && block.min_us >= self.since_us
            && block.max_us < self.until_us
    }

    /// Whether any line of the block may pass. If `false`, it need not be read.
    pub fn may_pass(&self, block: &Block) -> bool {
        block.lines > 0
            && block.last_seq > self.after
            && block.first_seq < self.before
            && block.max_us >= self.since_us
            && block.min_us < self.until_us
            && (self.level < Level::Error || block.errors > 0)
    }

    /// Whether any line in the block's bytes may pass: one search for the text over all its lines.
    pub fn may_pass_bytes(&self, bytes: &[u8]) -> bool {
        self.text.as_ref().is_none_or(|text| text.is_match(bytes))
    }

    pub fn passes(&self, record: &Record<'_>) -> bool {
        record.seq > self.after
            && record.seq < self.before
            && record.level >= self.level
            && record.at_us >= self.since_us
            && record.at_us < self.until_us
            && self.source.as_deref().is_none_or(|s| s == record.source)
            && self.dyno.as_deref().is_none_or(|d| is_of(record.dyno, d))
            && self.text.as_ref().is_none_or(|t| t.is_match(record.text))
            && self.regex.as_ref().is_none_or(|r| r.is_match(record.text))
    }
}

/// Whether `dyno` is `wanted`, or belongs to that process type.
fn is_of(dyno: &[u8], wanted: &[u8]) -> bool {
    match dyno.strip_prefix(wanted) {
        Some(rest) => rest.is_empty() || rest[0] == b'.',
        None => false,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Regex,
}

fn compile(pattern: &str, kind: Kind) -> Result<Regex> {
    if pattern.len() > PATTERN_BYTES {
        return Err(Error::Filter(format!(
            "The search pattern must have at most {PATTERN_BYTES} bytes; it has {}.",
            pattern.len()
        )));
    }
    let ignore_case = kind == Kind::Text;
    // Unicode has other letters that case-fold to `s` or `k`, which makes compiling ten times slower.
    let unicode = !(ignore_case && pattern.is_ascii());
    let mut builder = RegexBuilder::new(pattern);
    builder.case_insensitive(ignore_case).unicode(unicode).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES);
    let built = builder.nest_limit(50).build();
    built.map_err(|e| {
        let why = match e {
            regex::Error::CompiledTooBig(_) => "it is too complex".to_owned(),
            other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        };
        Error::Filter(format!("`{pattern}` is not a usable regular expression: {why}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: Filter, dyno: &str, text: &str) -> bool {
        Matcher::new(&filter).expect("a good filter").passes(&Record {
            seq: 1,
            at_us: 0,
            level: Level::Info,
            source: b"app",
            dyno: dyno.as_bytes(),
            text: text.as_bytes(),
        })
    }

    #[test]
    fn dynos_and_process_types() {
        let filter = |dyno: &str| Filter { dyno: Some(dyno.to_owned()), ..Filter::default() };
        assert!(passes(filter("web.1"), "web.1", ""));
        assert!(passes(filter("web"), "web.1", ""));
        assert!(passes(filter(""), "web.1", ""));
        assert!(!passes(filter("web.1"), "web.10", ""));
        assert!(!passes(filter("web"), "webhook.1", ""));
        assert!(passes(filter("router"), "router", ""));
    }

    #[test]
    fn texts_and_regular_expressions() {
        let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
        let regex = |regex: &str| Filter { regex: Some(regex.to_owned()), ..Filter::default() };
        assert!(passes(text("ÉCLAIR (1.5)"), "web.1", "one éclair (1.5) please"));
        assert!(!passes(text("1.5"), "web.1", "125"));
        assert!(passes(text("CRASHED"), "web.1", "State changed from up to crashed ✗"));
        assert!(passes(regex("^a.c$"), "web.1", "abc"));
        assert!(!passes(regex("^a.c$"), "web.1", "xabc"));
        for bad in ["(", "a{1000}{1000}{1000}"] {
            let error = Matcher::new(&regex(bad)).expect_err("a bad filter").to_string();
            assert!(error.contains("regular expression"), "{error}");
        }
    }
}
