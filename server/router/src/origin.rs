//! Where a request comes from.

use std::net::IpAddr;

use http::HeaderValue;

/// Who asks, and how.
pub(crate) struct Origin {
    pub(crate) ip: IpAddr,
    /// The same, as it goes into X-Forwarded-For.
    pub(crate) address: HeaderValue,
    /// Whether the client speaks TLS with whatever is in front.
    pub(crate) https: bool,
    /// The port that the client connected to, as far as it is known.
    pub(crate) port: HeaderValue,
}

impl Origin {
    /// `https` or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

/// An address in the form of a header.
pub(crate) fn text(ip: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&ip.to_string()).expect("an IP address is a valid header value")
}
