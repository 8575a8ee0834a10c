//! What can go wrong, in words for whoever gave the address.
//!
//! They name the host as it was given and what kind of address it leads to, never which one: names of an inner
//! network are nobody's business outside. Nor do they repeat passwords, paths or queries.

use http::StatusCode;

use crate::addresses::Kind;

/// Why there is no answer. Reads as the end of a sentence: "the source cannot be fetched: …".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address itself is of no use.
    #[error("the address cannot be used: {0}")]
    Address(&'static str),
    /// It leads to where the platform does not ask.
    #[error(
        "{host} {} {}; the platform asks public addresses only, and those that its operator allows",
        verb(.is_literal, .is_sent),
        .kind.noun()
    )]
    Refused { host: String, kind: Kind, is_literal: bool, is_sent: bool },
    /// There is nothing by that name.
    #[error("there is no host {0}")]
    Unknown(String),
    /// Nobody answers, or not in HTTP.
    #[error("{host} {why}")]
    Unreachable { host: String, why: &'static str },
    /// It took too long.
    #[error("{0} takes too long to answer")]
    Slow(String),
    /// The answer is larger than it may be.
    #[error("{host} sends more than {}", amount(.most))]
    Large { host: String, most: u64 },
    /// The redirects lead nowhere good.
    #[error("{host} {why}")]
    Redirect { host: String, why: &'static str },
    /// The answer is a refusal.
    #[error("{host} answers {status}")]
    Status { host: String, status: StatusCode },
    /// What was fetched could not be kept.
    #[error("what was fetched cannot be kept: {0}")]
    Keep(std::io::Error),
}

fn verb(is_literal: &bool, is_sent: &bool) -> &'static str {
    match (is_literal, is_sent) {
        (true, false) => "is",
        (true, true) => "(where a redirect leads) is",
        (false, false) => "leads to",
        (false, true) => "(where a redirect leads) is at",
    }
}

fn amount(bytes: &u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        megabytes => format!("{megabytes} MB"),
    }
}

impl Error {
    /// Whether the platform's rules, not the other side, are why.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Refused { .. } | Self::Redirect { .. })
    }
}

/// What `err` says, for people.
pub(crate) fn transport(host: &str, err: &reqwest::Error) -> Error {
    let host = host.to_owned();
    if err.is_timeout() {
        return Error::Slow(host);
    }
    let why = match () {
        () if err.is_connect() && is_tls(err) => "has no certificate that this machine trusts",
        () if err.is_connect() => "does not take connections",
        () if err.is_body() || err.is_decode() => "stopped in the middle of its answer",
        () => "does not answer as a web server does",
    };
    Error::Unreachable { host, why }
}

fn is_tls(err: &reqwest::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(err);
    while let Some(err) = source {
        // An IO error hides what it was made of from `source`.
        let inner = err.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if err.is::<tokio_rustls::rustls::Error>() || inner.is_some_and(|e| e.is::<tokio_rustls::rustls::Error>()) {
            return true;
        }
        source = err.source();
    }
    false
}
