//! Which addresses are allowed: the defaults and the operator's settings.

use std::net::IpAddr;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{
    addresses::{self, Kind},
    error::Error,
    network::Network,
};

/// The operator's settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Rules {
    /// Non-public networks that are allowed.
    pub networks: Vec<Network>,
    /// Ports of this machine that requests may connect to, because they are reachable from the internet anyway.
    pub allowed_ports: Vec<u16>,
}

/// Ports of non-HTTP services that would process an HTTP request anyway: those blocked by browsers (WHATWG
/// Fetch, "port blocking"), and current databases and caches.
const PORTS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045,
    4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211, 27017,
];

impl Rules {
    /// Why `ip` at `port` is forbidden; `None` if it is allowed.
    pub(crate) fn forbids(&self, ip: IpAddr, port: u16) -> Option<Kind> {
        let ip = addresses::plain(ip);
        if self.networks.iter().any(|network| network.contains(ip)) {
            return None;
        }
        let own = || (!self.allowed_ports.contains(&port) && is_own(ip)).then_some(Kind::Own);
        addresses::kind(ip).or_else(own)
    }
}

/// Whether this machine has the address. Assumed if that cannot be determined.
fn is_own(ip: IpAddr) -> bool {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return true };
    let address = |found: nix::ifaddrs::InterfaceAddress| {
        let found = found.address?;
        let v4 = found.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| found.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    all.filter_map(address).any(|found| found == ip)
}

/// Parses a URL and checks what can be checked without any request: scheme, port, form.
///
/// `Url` has normalised every spelling of an IPv4 address (decimal, octal, hexadecimal, with fewer parts, with
/// a trailing dot, in full-width digits) as browsers do, so that what is left is a name or an address.
pub(crate) fn read(text: &str) -> Result<Url, Error> {
    let wrong = |why: &'static str| Error::Address(why);
    // The parser would drop surrounding tabs, line breaks and spaces, which are never intended.
    if text.len() > 8000 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("it is longer than 8,000 bytes, or contains spaces or control characters"));
    }
    let url = Url::parse(text).map_err(|_| wrong("it is not a valid URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if url.host_str().is_none_or(|host| host.trim_matches('.').is_empty()) {
        return Err(wrong("it has no host"));
    }
    match url.port_or_known_default() {
        Some(port) if !PORTS.contains(&port) => Ok(url),
        _ => Err(wrong("that port is not for web servers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_read() {
        for bad in [
            "",
            "x",
            "file:///etc/passwd",
            "ftp://a.example/",
            "gopher://a.example/",
            "//a.example",
            "http://",
            "http:///",
            "http://a.example:0/",
            "http://a.example:22/",
            "https://a.example:25/",
            "http://a.example:6379/",
            "http://a.example:99999/",
            "http://[fe80::1%25eth0]/",
            "http://[fe80::1%eth0]/",
            "http://a b/",
            "http://a.example/\r\nHost: b",
            " http://a.example",
            "http://a.example\t",
            "http://./",
            "unix:/run/x",
            "jar:http://a.example!/",
            "http://a%00b/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for good in
            ["http://a.example", "https://a.example:8443/x?y#z", "http://user:word@a.example/", "http://[2606::1]/"]
        {
            assert!(read(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_operator_may_open_networks() {
        let rules = Rules { networks: vec!["10.1.0.0/16".parse().unwrap()], allowed_ports: Vec::new() };
        let forbids = |ip: &str| rules.forbids(ip.parse().unwrap(), 80);
        assert_eq!(forbids("10.1.2.3"), None);
        assert_eq!(forbids("::ffff:10.1.2.3"), None);
        assert_eq!(forbids("64:ff9b::a01:203"), None);
        assert_eq!(forbids("10.2.0.1"), Some(Kind::Private));
    }

    #[test]
    fn on_its_own_machine_only_allowed_ports_are_requested() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(!is_own("1.1.1.1".parse().unwrap()));
    }
}
