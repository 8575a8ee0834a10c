//! The origin of requests: as the router sees it, or as a trusted proxy states it.

use http::{HeaderMap, HeaderValue};

use crate::client::Client;
use crate::config::Config;
use crate::forwarded::{self, Forwarded};
use crate::origin::{self, Origin};

/// The defaults, and the trusted proxies.
pub(crate) struct Origins {
    https: bool,
    port: HeaderValue,
}

impl Origins {
    pub(crate) fn new(tls: bool, port: u16) -> Origins {
        Origins { https: tls, port: HeaderValue::from(if tls { 443 } else { port }) }
    }

    /// The origin of a request on a client's connection. To be called before any header is removed: a client can name
    /// those of its proxy in `Connection`.
    pub(crate) fn of(&self, client: &Client, headers: &HeaderMap, config: &Config) -> Origin {
        match client.trusted {
            false => self.seen_through(client, Forwarded::default()),
            true => self.seen_through(client, forwarded::read(headers, &config.trusted)),
        }
    }

    fn seen_through(&self, client: &Client, proxy: Forwarded) -> Origin {
        let https = proxy.https.unwrap_or(self.https);
        let port = match (proxy.port, proxy.https) {
            (Some(port), _) => HeaderValue::from(port),
            (None, Some(true)) => HeaderValue::from(443),
            (None, Some(false)) => HeaderValue::from(80),
            (None, None) => self.port.clone(),
        };
        match proxy.ip {
            Some(ip) => Origin { ip, address: origin::text(ip), https, port },
            None => Origin { ip: client.ip, address: client.address.clone(), https, port },
        }
    }
}
