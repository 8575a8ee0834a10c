//! Where a request comes from.

use std::net::IpAddr;

use http::HeaderValue;

/// The client, and how it connected.
pub(crate) struct Origin {
    pub(crate) ip: IpAddr,
    /// The same, in the form for X-Forwarded-For.
    pub(crate) address: HeaderValue,
    /// Whether the client uses TLS with the proxy in front.
    pub(crate) https: bool,
    /// The port that the client connected to, if known.
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
