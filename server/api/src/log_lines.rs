//! *Wharf:* log lines as data, for the console and for `wharf logs`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// One line of an app's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Sequence number within an app, never reused: a line's address.
    pub seq: u64,
    pub at: DateTime<Utc>,
    /// `app` or `heroku`.
    pub source: String,
    /// `web.1`, `router`, `api`.
    pub dyno: String,
    pub text: String,
    pub level: LogLevel,
}

impl std::fmt::Display for LogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Micros, false);
        write!(f, "{at} {}[{}]: {}", self.source, self.dyno, crate::sanitize::line(&self.text))
    }
}

/// The severity of a line, detected from its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    #[default]
    Info,
    Warn,
    Error,
}

/// A filter for lines; absent fields match everything. Sent as a query string.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogFilter {
    /// `app` or `heroku`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A dyno (`web.1`), a process type (`web`), or `router`, `api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dyno: Option<String>,
    /// At least this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// Plain text to find, case-insensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A regular expression to find.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// `GET /apps/{app}/log-lines`: the last matching lines, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogLinesQuery {
    #[serde(flatten)]
    pub filter: LogFilter,
    /// Maximum number (default 100).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u32>,
    /// Only lines before this one: the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only lines after this one, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// `GET /apps/{app}/log-density`: the number of lines per interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogDensity {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub buckets: Vec<LogBucket>,
}

/// The lines of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogBucket {
    pub lines: u64,
    pub errors: u64,
}
