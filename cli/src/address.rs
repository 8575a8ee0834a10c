//! The address of a platform: scheme, host and port, and nothing else.

use std::fmt;

use anyhow::{Context as _, Result, bail};

/// The address of a platform, e.g. `http://localhost:5000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub https: bool,
    /// Lower case; an IPv6 address is in brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Parses an address and drops path, query and credentials. Without a scheme, it is
    /// http for this machine and https for any other.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self::split(text)?.0)
    }

    /// Parses a URL into address and path with query.
    pub fn split(text: &str) -> Result<(Self, String)> {
        let text = text.trim();
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            let host = text.split(['/', ':']).next().unwrap_or_default();
            let scheme = if is_this_machine(host) || text.starts_with("[::1]") { "http" } else { "https" };
            format!("{scheme}://{text}")
        };
        let says = || format!("{text:?} is not an address. Use one like http://localhost:5000");
        let uri: http::Uri = with_scheme.parse().with_context(says)?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => bail!("{text:?} is neither http nor https. Use an address like http://localhost:5000"),
        };
        let host = uri.host().filter(|h| !h.is_empty()).with_context(says)?.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok((Self { https, host, port }, path))
    }

    /// Host and port as in a `Host` header: the default port is left out.
    pub fn authority(&self) -> String {
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The host without the brackets of an IPv6 address.
    pub fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether this is the machine that the command runs on.
    pub fn is_local(&self) -> bool {
        is_this_machine(self.bare_host())
    }

    /// Whether commands connect to 127.0.0.1 for it.
    pub fn connects_to_loopback(&self) -> bool {
        is_localhost(&self.host) || self.host == "127.0.0.1"
    }

    /// Whether both name the same platform; the names of this machine are one.
    pub fn is_same_platform(&self, other: &Self) -> bool {
        self.port == other.port && (self.host == other.host || (self.is_local() && other.is_local()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }
}

/// `localhost` and its subdomains, which are this machine by definition (RFC 6761).
pub fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost")
}

fn is_this_machine(host: &str) -> bool {
    is_localhost(host) || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalized() {
        for (given, read) in [
            ("http://localhost:5000", "http://localhost:5000"),
            ("http://LOCALHOST:5000/", "http://localhost:5000"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.0.0.1:5000/apps", "http://127.0.0.1:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("wharf.example.com", "https://wharf.example.com"),
            ("https://wharf.example.com:443/x?y", "https://wharf.example.com"),
            ("http://user:secret@wharf.example.com:80", "http://wharf.example.com"),
        ] {
            assert_eq!(Address::parse(given).unwrap().to_string(), read, "{given}");
        }
        for bad in ["", "ftp://x", "http://", "http://a b"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_is_split_into_address_and_path() {
        let (address, path) = Address::split("http://localhost:5000/streams/a?b=c").unwrap();
        assert_eq!((address.to_string().as_str(), path.as_str()), ("http://localhost:5000", "/streams/a?b=c"));
        assert_eq!(Address::split("https://x.org").unwrap().1, "/");
    }

    #[test]
    fn names_of_this_machine_are_equivalent() {
        let at = |s: &str| Address::parse(s).unwrap();
        assert!(at("http://localhost:5000").is_same_platform(&at("http://127.0.0.1:5000")));
        assert!(!at("http://localhost:5000").is_same_platform(&at("http://localhost:5001")));
        assert!(!at("http://a.org").is_same_platform(&at("http://b.org")));
        assert!(is_localhost("dusk.localhost") && !is_localhost("localhost.org"));
    }
}
