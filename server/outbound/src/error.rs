//! Errors, worded for the user who supplied the URL.
//!
//! Messages contain the host as supplied and the kind of address it resolves to, never the address: the names
//! of an internal network must not leak. Nor do they repeat passwords, paths or queries.

use http::StatusCode;

use crate::addresses::Kind;

/// Why a request failed. Reads as the end of a sentence: "the source cannot be fetched: …".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL itself is unusable.
    #[error("the address cannot be used: {0}")]
    Address(&'static str),
    /// It resolves to a forbidden address.
    #[error(
        "{host} {} {}; the platform only connects to public addresses and those its operator allows",
        verb(.is_literal, .is_redirect),
        .kind.noun()
    )]
    Refused { host: String, kind: Kind, is_literal: bool, is_redirect: bool },
    /// The name does not resolve.
    #[error("there is no host {0}")]
    Unknown(String),
    /// No response, or not HTTP.
    #[error("{host} {why}")]
    Unreachable { host: String, why: &'static str },
    /// Timeout.
    #[error("{0} took too long to respond")]
    Slow(String),
    /// The response is too large.
    #[error("{host} sent more than {}", amount(.most))]
    Large { host: String, most: u64 },
    /// A redirect that is not followed.
    #[error("{host} {why}")]
    Redirect { host: String, why: &'static str },
    /// The response is an error.
    #[error("{host} responded with {status}")]
    Status { host: String, status: StatusCode },
    /// The response could not be stored.
    #[error("the download cannot be stored: {0}")]
    Keep(std::io::Error),
}

fn verb(is_literal: &bool, is_redirect: &bool) -> &'static str {
    match (is_literal, is_redirect) {
        (true, false) => "is",
        (true, true) => "(the target of a redirect) is",
        (false, false) => "resolves to",
        (false, true) => "(the target of a redirect) resolves to",
    }
}

fn amount(bytes: &u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        megabytes => format!("{megabytes} MB"),
    }
}

impl Error {
    /// Whether the cause is the platform's rules, not the other side.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Refused { .. } | Self::Redirect { .. })
    }
}

/// `err` as text for users.
pub(crate) fn transport(host: &str, err: &reqwest::Error) -> Error {
    let host = host.to_owned();
    if err.is_timeout() {
        return Error::Slow(host);
    }
    let why = match () {
        () if err.is_connect() && is_tls(err) => "has no certificate that this machine trusts",
        () if err.is_connect() => "does not accept connections",
        () if err.is_body() || err.is_decode() => "closed the connection in the middle of its response",
        () => "did not send a valid HTTP response",
    };
    Error::Unreachable { host, why }
}

fn is_tls(err: &reqwest::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(err);
    while let Some(err) = source {
        // An IO error hides its inner error from `source`.
        let inner = err.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if err.is::<tokio_rustls::rustls::Error>() || inner.is_some_and(|e| e.is::<tokio_rustls::rustls::Error>()) {
            return true;
        }
        source = err.source();
    }
    false
}
