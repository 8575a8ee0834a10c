//! The one error on the wire.

use serde::{Deserialize, Serialize};

/// What went wrong, for people and for programs. The shape is Heroku's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The HTTP status; 0 when no answer came at all. Not part of the body.
    #[serde(default)]
    pub status: u16,
    /// What kind of error, from a fixed list: `not_found`, `unauthorized`, `invalid_params`, …
    pub id: String,
    /// One or two sentences: what is wrong with which thing, and what to do.
    pub message: String,
    /// The kind of thing that is missing, for `not_found`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// *Wharf:* the request's id, to find it in the platform's log. From the header `Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Error {
    /// An error with a status, an id and a sentence.
    pub fn new(status: u16, id: &str, message: impl Into<String>) -> Self {
        Self { status, id: id.into(), message: message.into(), resource: None, url: None, request_id: None }
    }

    /// No answer came: the server is away or the network is.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(0, "unreachable", message)
    }

    /// An answer came that could not be read.
    pub fn unreadable(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, "unreadable", message)
    }

    /// Whether the thing asked for does not exist, or may not be known of.
    pub fn is_not_found(&self) -> bool {
        self.status == 404
    }

    /// Whether the asker has to sign in first.
    pub fn is_unauthorized(&self) -> bool {
        self.status == 401
    }
}
