//! *Wharf:* the messages of the one websocket, `/live`.
//!
//! JSON text frames. The browser subscribes to topics; each subscription has a number chosen by the browser,
//! and is authorized like a request. It starts with a snapshot or, if a cursor is given, with everything after
//! it. A `State` topic sends its whole value first, and on every change what of it is different, or the whole value
//! again if the browser has not asked for differences; a `Lines` topic sends new lines and a cursor to resume from.
//!
//! ```text
//! browser                          server
//!   subscribe 1 apps          ──→
//!                             ←──  value 1 […]
//!   subscribe 2 logs x after 7 ─→
//!                             ←──  lines 2 [8, 9] cursor 9
//!   credit 2 1000             ──→       (the reader has room for 1000 more lines)
//!                             ←──  difference 1 {…}
//!   unsubscribe 1             ──→
//! ```

mod difference;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::difference::{Difference, Part};
use crate::{Error, log_lines::LogFilter};

/// The topic of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "topic", rename_all = "snake_case")]
pub enum Topic {
    /// `Vec<AppSummary>`, all visible to the caller.
    Apps,
    /// `AppStatus` of one app.
    App { app: String },
    /// `LogLine`s of one app.
    Logs {
        app: String,
        #[serde(default)]
        filter: LogFilter,
        /// Resume after this line; otherwise start with the last `lines`.
        #[serde(default)]
        after: Option<u64>,
        #[serde(default)]
        lines: Option<u32>,
    },
    /// Output of a build; the cursor is a byte offset.
    Build {
        app: String,
        build: crate::ids::BuildId,
        #[serde(default)]
        after: Option<u64>,
    },
    /// `MetricPoint`s of one app, as they are recorded.
    Metrics { app: String },
    /// `PlatformInfo`, for administrators.
    Platform,
    /// [`Changed`]: the kinds of things that have changed. The first message is empty.
    Changes,
}

/// The kinds of things that have changed since the last message, but not which things, since not everybody may know
/// that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Nouns of the audit log's actions: `team_member` for `team_member.delete`. Reported only to those who can see
    /// what has changed, or could before.
    #[serde(default)]
    pub nouns: BTreeSet<String>,
    /// Messages may have been lost: anything may have changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anything: bool,
}

/// Messages from the browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToServer {
    Subscribe {
        id: u32,
        #[serde(flatten)]
        topic: Topic,
        /// Whether [`ToBrowser::Difference`] is understood. Browsers with an older version of the console do not send
        /// it.
        #[serde(default)]
        differences: bool,
    },
    Unsubscribe {
        id: u32,
    },
    /// The reader of a `Lines` topic has room for `more` lines. A new subscription starts with 2,000.
    Credit {
        id: u32,
        more: u32,
    },
}

/// Messages from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToBrowser {
    /// First frame: the server's version. If it differs from the page's, offer a reload.
    Hello { version: String },
    /// The whole value of a `State` topic.
    Value { id: u32, value: serde_json::Value },
    /// How the value of a `State` topic differs from the last one that was sent.
    Difference { id: u32, difference: Difference },
    /// New lines; pass `cursor` as `after` to resume.
    Lines { id: u32, lines: Vec<serde_json::Value>, cursor: u64 },
    /// The reader was too slow: this many lines were skipped before the next.
    Dropped { id: u32, lines: u64 },
    /// The subscription has completed (a finished build).
    End { id: u32 },
    /// The subscription was rejected or failed.
    Failed { id: u32, error: Error },
    /// The session has ended; the socket closes.
    SignedOut,
}
