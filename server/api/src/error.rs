//! The error type of the API.

use serde::{Deserialize, Serialize};

/// An error, for users and programs. The shape is Heroku's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The HTTP status; 0 if there was no response. Not part of the body.
    #[serde(default)]
    pub status: u16,
    /// The error code, from a fixed list: `not_found`, `unauthorized`, `invalid_params`, …
    pub id: String,
    /// One or two sentences: what is wrong with which thing, and how to fix it.
    pub message: String,
    /// The kind of the missing resource, for `not_found`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// *Wharf:* the request id, to find it in the platform's log. From the header `Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Error {
    /// An error with a status, a code and a message.
    pub fn new(status: u16, id: &str, message: impl Into<String>) -> Self {
        Self { status, id: id.into(), message: message.into(), resource: None, url: None, request_id: None }
    }

    /// No response: the server or the network is down.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(0, "unreachable", message)
    }

    /// The response could not be parsed.
    pub fn unreadable(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, "unreadable", message)
    }

    /// Whether the resource does not exist, or is not visible.
    pub fn is_not_found(&self) -> bool {
        self.status == 404
    }

    /// Whether the caller has to sign in first.
    pub fn is_unauthorized(&self) -> bool {
        self.status == 401
    }
}
