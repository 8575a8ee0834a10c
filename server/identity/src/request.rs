//! What a request's head says: the client's address, token and origin, and whether it only reads.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, Method, header, request::Parts};
use base::Base;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Whether a request only reads. One that upgrades its connection may do anything with it.
pub fn reads(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD) && !parts.headers.contains_key(header::UPGRADE)
}

/// Whether `Origin` is the requested host.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|v| v.to_str().ok());
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    match (origin, host) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, o)| o.eq_ignore_ascii_case(host)),
        _ => false,
    }
}

/// The token in `Authorization`: Bearer, or Basic with the token as password or alone as user.
pub fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    Some(if password.is_empty() { user.to_owned() } else { password.to_owned() })
}

/// The client's address. The server listens on a Unix socket that only the router can reach, so
/// that the last entry, which the router added, can be trusted.
pub fn address(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-forwarded-for")?.to_str().ok()?;
    value.rsplit(',').next().map(|a| a.trim().to_owned())
}

/// Whose attempts are counted together: an IPv4 address, or the /64 network of an IPv6 address, which is the least that a
/// single customer gets.
pub fn client(address: Option<&str>) -> String {
    let Some(address) = address else { return "an unknown address".into() };
    match address.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Ok(v4) => v4.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// Scheme and host as the client used them.
pub fn origin(base: &Base, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    match text("host").filter(|h| !h.is_empty()) {
        Some(host) => format!("{}://{host}", text("x-forwarded-proto").unwrap_or("http")),
        None => base.settings().url(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        assert_eq!(token(&headers).as_deref(), expected, "{value}");
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("nowhere", "nowhere"),
        ] {
            assert_eq!(client(Some(address)), expected);
        }
        assert_eq!(client(None), "an unknown address");
    }

    #[test]
    fn a_request_reads_unless_its_method_or_an_upgrade_says_otherwise() {
        let request = |method: &str, upgrade: Option<&str>| {
            let mut request = axum::http::Request::builder().method(method).body(()).unwrap();
            if let Some(protocol) = upgrade {
                request.headers_mut().insert(header::UPGRADE, protocol.parse().unwrap());
            }
            reads(&request.into_parts().0)
        };
        assert!(request("GET", None) && request("HEAD", None));
        assert!(!request("POST", None) && !request("OPTIONS", None) && !request("GET", Some("websocket")));
    }

    #[test]
    fn tokens_in_every_form_that_clients_use() {
        let basic = |s: &str| format!("Basic {}", BASE64_STANDARD.encode(s));
        check("Bearer abc", Some("abc"));
        check("bearer abc", Some("abc"));
        check(&basic(":abc"), Some("abc"));
        check(&basic("heroku:abc"), Some("abc"));
        check(&basic("abc:"), Some("abc"));
        check("Digest abc", None);
        check("Basic ???", None);
    }
}
