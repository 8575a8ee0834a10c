//! What proxies state about the client: `X-Forwarded-*` and `Forwarded` (RFC 7239).
//!
//! Each hop appends the peer that it got the request from. So the lists are read from the right, as long as the hops
//! are trusted: the first one that is not is the client. Everything to the left of it is the client's own claim. An
//! invalid entry also ends the walk.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use crate::headers::{X_FORWARDED_FOR, X_FORWARDED_PORT, X_FORWARDED_PROTO};
use crate::networks::Networks;

/// Maximum length of a chain of proxies.
const HOPS: usize = 32;

/// The statements of a trusted proxy. Missing or malformed ones are `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) ip: Option<IpAddr>,
    pub(crate) https: Option<bool>,
    pub(crate) port: Option<u16>,
}

/// Reads the headers of a request from a trusted proxy. `Forwarded` only counts without `X-Forwarded-For`: proxies that
/// set the latter forward the former as the client sent it.
pub(crate) fn read(headers: &HeaderMap, trusted: &Networks) -> Forwarded {
    if headers.contains_key(X_FORWARDED_FOR) || !headers.contains_key(FORWARDED) {
        let (ip, hops) = walk(from_right(headers, &X_FORWARDED_FOR).map(|entry| address(entry?)), trusted);
        let word = |name: HeaderName| {
            let words: Vec<Option<&str>> = from_right(headers, &name).take(HOPS).collect();
            words.get(hops).or(words.first()).copied().flatten()
        };
        let https = word(X_FORWARDED_PROTO).and_then(is_https);
        let port = word(X_FORWARDED_PORT).and_then(|port| port.parse().ok());
        return Forwarded { ip, https, port };
    }
    let elements: Vec<Element> =
        from_right_quoted(headers).map(|element| element.map(element_of).unwrap_or_default()).collect();
    let (ip, hops) = walk(elements.iter().map(|element| element.ip), trusted);
    Forwarded { ip, https: elements.get(hops).and_then(|element| element.https), port: None }
}

/// The client, and the number of hops between it and the router.
fn walk(entries: impl Iterator<Item = Option<IpAddr>>, trusted: &Networks) -> (Option<IpAddr>, usize) {
    let mut found = (None, 0);
    for (hops, entry) in entries.take(HOPS).enumerate() {
        let Some(ip) = entry else { break };
        found = (Some(ip), hops);
        if !trusted.contains(ip) {
            break;
        }
    }
    found
}

/// The entries of all lines of a header, the last first. `None` for entries that are not text.
fn from_right<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().flat_map(|line| {
        let entries: Vec<Option<&str>> = match line.to_str() {
            Ok(line) => line.rsplit(',').take(HOPS).map(|entry| Some(entry.trim())).collect(),
            Err(_) => vec![None],
        };
        entries
    })
}

/// Like [`from_right`], for `Forwarded`, in which a comma can be quoted.
fn from_right_quoted(headers: &HeaderMap) -> impl Iterator<Item = Option<&str>> {
    let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    lines.into_iter().rev().flat_map(|line| match line.to_str() {
        Ok(line) => split_unquoted(line, ',').take(HOPS).map(Some).collect(),
        Err(_) => Vec::from([None]),
    })
}

/// The parts of a list, the last one first, so that an unclosed quote of the client affects nothing to the right of it.
fn split_unquoted(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let ends = move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    };
    text.rsplit(ends).map(str::trim)
}

#[derive(Default)]
struct Element {
    ip: Option<IpAddr>,
    https: Option<bool>,
}

/// `for="[2001:db8::1]:4711";proto=https;by=…`. An element with a repeated parameter is ignored.
fn element_of(text: &str) -> Element {
    let mut element = Element::default();
    let mut seen = Vec::new();
    for pair in split_unquoted(text, ';') {
        let Some((name, value)) = pair.split_once('=') else { return Element::default() };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        match name.as_str() {
            "for" => element.ip = address(value),
            "proto" => element.https = is_https(value),
            _ => {}
        }
        if seen.contains(&name) {
            return Element::default();
        }
        seen.push(name);
    }
    element
}

fn is_https(word: &str) -> Option<bool> {
    match word {
        _ if word.eq_ignore_ascii_case("https") || word.eq_ignore_ascii_case("wss") => Some(true),
        _ if word.eq_ignore_ascii_case("http") || word.eq_ignore_ascii_case("ws") => Some(false),
        _ => None,
    }
}

/// An address as proxies write it: plain, in brackets, with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|addr| addr.ip());
    text.parse::<IpAddr>().ok().or_else(with_port).or_else(bare).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read_from(lines: &[(&'static str, &str)]) -> Forwarded {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
            headers.append(HeaderName::from_static(name), value);
        }
        read(&headers, &"10.0.0.0/8,2001:db8::/32".parse().expect("a list"))
    }

    #[track_caller]
    fn check(name: &'static str, value: &str, expected: Option<&str>) {
        let ip = read_from(&[(name, value)]).ip.map(|ip| ip.to_string());
        assert_eq!(ip.as_deref(), expected, "{name}: {value}");
    }

    #[test]
    fn the_client_is_the_first_stranger_from_the_right() {
        for (value, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("6.6.6.6, 192.0.2.1", Some("192.0.2.1")),
            ("6.6.6.6, 192.0.2.1, 10.0.0.1,10.0.0.2", Some("192.0.2.1")),
            ("10.0.0.9, 10.0.0.1", Some("10.0.0.9")),
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("[2001:db9::1]:80", Some("2001:db9::1")),
            ("[2001:db9::1]", Some("2001:db9::1")),
            ("2001:db9::1", Some("2001:db9::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            // An entry that cannot be parsed ends the walk at the hop that added it.
            ("192.0.2.1, unknown", None),
            ("192.0.2.1, unknown, 10.0.0.1", Some("10.0.0.1")),
            ("192.0.2.1,", None),
            ("", None),
            ("192.0.2.1, [10.0.0.1]", None),
            ("192.0.2.1 10.0.0.1", None),
            ("192.0.2.1, 010.0.0.1", None),
            ("192.0.2.1, \u{fc}", None),
        ] {
            check("x-forwarded-for", value, expected);
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.1")];
        assert_eq!(read_from(&lines).ip, "192.0.2.1".parse().ok());
    }

    #[test]
    fn forwarded_is_read_with_its_quotes() {
        for (value, expected) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            ("For=\"[2001:db9::1]:4711\";proto=https;by=10.0.0.3", Some("2001:db9::1")),
            ("for=6.6.6.6, for=192.0.2.1;by=\"a,b;c\", for=10.0.0.1", Some("192.0.2.1")),
            ("for=192.0.2.1, for=_hidden, for=10.0.0.1", Some("10.0.0.1")),
            ("for=192.0.2.1, for=unknown", None),
            ("for=192.0.2.1;for=6.6.6.6", None),
            ("for=192.0.2.1, for=\"10.0.0.1", None),
            ("for=\"6.6.6.6, for=192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1", None),
        ] {
            check("forwarded", value, expected);
        }
        let both = read_from(&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=6.6.6.6;proto=http")]);
        assert_eq!(both, Forwarded { ip: "192.0.2.1".parse().ok(), https: None, port: None });
        assert_eq!(read_from(&[("forwarded", "for=192.0.2.1;proto=https, for=10.0.0.1;proto=http")]).https, Some(true));
    }

    #[test]
    fn the_scheme_is_the_one_the_client_used() {
        let proto = |list, proto| read_from(&[("x-forwarded-for", list), ("x-forwarded-proto", proto)]).https;
        assert_eq!(proto("192.0.2.1", "https"), Some(true));
        assert_eq!(proto("192.0.2.1", "HTTP"), Some(false));
        assert_eq!(proto("192.0.2.1, 10.0.0.1", "https, http"), Some(true));
        assert_eq!(proto("192.0.2.1, 10.0.0.1", "https"), Some(true));
        assert_eq!(proto("6.6.6.6, 192.0.2.1", "http, https"), Some(true));
        assert_eq!(proto("192.0.2.1", "gopher"), None);
        assert_eq!(read_from(&[("x-forwarded-port", "8443")]).port, Some(8443));
        assert_eq!(read_from(&[("x-forwarded-port", "99999")]).port, None);
    }
}
