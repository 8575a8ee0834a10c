//! Who asks, and how: what the router sees itself, or what a proxy that it trusts says.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use crate::client::Client;
use crate::config::Config;
use crate::forwarded::{self, Told};

/// Where a request comes from.
pub(crate) struct Origin {
    pub(crate) ip: IpAddr,
    /// The same, as it goes into X-Forwarded-For.
    pub(crate) address: HeaderValue,
    /// Whether the client speaks TLS with whatever is in front.
    pub(crate) https: bool,
    /// The port that the client connected to, as far as it is known.
    pub(crate) port: HeaderValue,
}

/// What is so without a word from anybody, and whose word counts.
pub(crate) struct Origins {
    https: bool,
    port: HeaderValue,
}

impl Origins {
    pub(crate) fn new(tls: bool, port: u16) -> Origins {
        Origins { https: tls, port: HeaderValue::from(if tls { 443 } else { port }) }
    }

    /// The origin of a request on a client's connection. To be asked before any header is taken away:
    /// a client may name those of its proxy in `Connection`.
    pub(crate) fn of(&self, client: &Client, headers: &HeaderMap, config: &Config) -> Origin {
        match client.trusted {
            false => self.told(client, Told::default()),
            true => self.told(client, forwarded::read(headers, &config.trusted)),
        }
    }

    fn told(&self, client: &Client, told: Told) -> Origin {
        let https = told.https.unwrap_or(self.https);
        let port = match (told.port, told.https) {
            (Some(port), _) => HeaderValue::from(port),
            (None, Some(true)) => HeaderValue::from(443),
            (None, Some(false)) => HeaderValue::from(80),
            (None, None) => self.port.clone(),
        };
        match told.ip {
            Some(ip) => Origin { ip, address: text(ip), https, port },
            None => Origin { ip: client.ip, address: client.address.clone(), https, port },
        }
    }
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
