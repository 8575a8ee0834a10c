//! *Wharf:* the words of the one websocket, `/live`.
//!
//! Text frames of JSON. The browser subscribes to topics; each subscription has a number of
//! its own, chosen by the browser, and is checked like a request. It starts with a snapshot
//! or, when a cursor is given, with what came after it. A `State` topic sends its whole new
//! value whenever that changes; a `Lines` topic sends what is new and a cursor to resume from.
//!
//! ```text
//! browser                          server
//!   subscribe 1 apps          ──→
//!                             ←──  value 1 […]
//!   subscribe 2 logs x after 7 ─→
//!                             ←──  lines 2 [8, 9] cursor 9
//!   credit 2 1000             ──→       (the reader has room for 1000 more lines)
//!   unsubscribe 1             ──→
//! ```

use serde::{Deserialize, Serialize};

use crate::{Error, log_lines::LogFilter};

/// What a subscription is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "topic", rename_all = "snake_case")]
pub enum Topic {
    /// `Vec<AppSummary>`, all that the asker may see.
    Apps,
    /// `AppStatus` of one app.
    App { app: String },
    /// `LogLine`s of one app.
    Logs {
        app: String,
        #[serde(default)]
        filter: LogFilter,
        /// Go on after this line; without it start with the last `lines`.
        #[serde(default)]
        after: Option<u64>,
        #[serde(default)]
        lines: Option<u32>,
    },
    /// Output of a build; the cursor is a number of bytes.
    Build {
        app: String,
        build: uuid::Uuid,
        #[serde(default)]
        after: Option<u64>,
    },
    /// `MetricPoint`s of one app, as they are measured.
    Metrics { app: String },
    /// `PlatformInfo`, for the operator.
    Platform,
    /// Tells that something was changed by somebody, not what: a number that is another one each time.
    Changes,
}

/// What the browser says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToServer {
    Subscribe {
        id: u32,
        #[serde(flatten)]
        topic: Topic,
    },
    Unsubscribe {
        id: u32,
    },
    /// The reader of a `Lines` topic can take `more` more lines. A new subscription has 2,000.
    Credit {
        id: u32,
        more: u32,
    },
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToBrowser {
    /// First frame: which server this is. A version other than the page's own means: offer a reload.
    Hello { version: String },
    /// The whole value of a `State` topic.
    Value { id: u32, value: serde_json::Value },
    /// New lines; `cursor` is to be given as `after` when resuming.
    Lines { id: u32, lines: Vec<serde_json::Value>, cursor: u64 },
    /// The reader was too slow: this many lines were left out before the next.
    Dropped { id: u32, lines: u64 },
    /// The subscription has ended well (a build that is over).
    End { id: u32 },
    /// The subscription was refused or broke off.
    Failed { id: u32, error: Error },
    /// The session has ended; the socket closes.
    SignedOut,
}
