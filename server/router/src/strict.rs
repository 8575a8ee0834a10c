//! Rejects requests that two programs could interpret differently.
//!
//! hyper has rejected invalid HTTP by then, and determined the length of the body. What remains to be checked is what
//! hyper accepts: targets, hosts, methods and codings.

use std::net::Ipv6Addr;

use http::header::{HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Uri, Version};
use hyper::Request;

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) sentence: &'static str,
}

const fn refusal(status: StatusCode, sentence: &'static str) -> Refusal {
    Refusal { status, sentence }
}

const CONNECT: Refusal =
    refusal(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not supported; this is not a forward proxy.");
const TRACE: Refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "TRACE is not supported.");
const TARGET: Refusal = refusal(StatusCode::BAD_REQUEST, "The request target is neither a path nor a URL.");
const CODING: Refusal = refusal(StatusCode::NOT_IMPLEMENTED, "Transfer-Encoding must be exactly `chunked`.");
/// About the host, which is checked first, because the error page depends on it.
pub(crate) const BAD_HOST: Refusal =
    refusal(StatusCode::BAD_REQUEST, "The request must have exactly one Host header with a valid host.");

/// Checks everything that does not depend on the host.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    match *request.method() {
        Method::CONNECT => return Err(CONNECT),
        Method::TRACE => return Err(TRACE),
        ref method if method.as_str().eq_ignore_ascii_case("TRACK") => return Err(TRACE),
        _ => {}
    }
    if !is_good_target(request.method(), request.uri()) {
        return Err(TARGET);
    }
    match has_one_coding(request.headers()) {
        true => Ok(()),
        false => Err(CODING),
    }
}

/// `/path`, `http://host/path`, or `*` for OPTIONS.
fn is_good_target(method: &Method, uri: &Uri) -> bool {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => path.is_empty() || path.starts_with(['/', '?']),
        (None, None) => path.starts_with('/') || (path == "*" && *method == Method::OPTIONS),
        _ => false,
    }
}

fn has_one_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// The requested host. The host of an absolute target has priority over the header, which is set to it.
pub(crate) fn host<B>(request: &mut Request<B>) -> Option<HeaderValue> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host_header = match (hosts.next(), hosts.next()) {
        (host_header, None) => host_header.cloned(),
        _ => return None,
    };
    let host = match (request.uri().authority(), host_header) {
        (Some(authority), _) => HeaderValue::from_str(authority.as_str()).ok()?,
        (None, Some(host)) => return is_host(host.as_bytes()).then_some(host),
        // HTTP/1.0 has no Host header; its clients mean the machine.
        (None, None) if request.version() == Version::HTTP_10 => HeaderValue::from_static("localhost"),
        (None, None) => return None,
    };
    request.headers_mut().insert(HOST, host.clone());
    is_host(host.as_bytes()).then_some(host)
}

/// Whether this is a name or an address with an optional port, which no program can interpret differently when it
/// builds a URL.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().position(|b| *b == b']') {
        Some(end) => host.split_at(end + 1),
        None => host.split_at(host.iter().position(|b| *b == b':').unwrap_or(host.len())),
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_port && is_name(name)
}

fn is_name(name: &[u8]) -> bool {
    match name {
        [b'[', inner @ .., b']'] => std::str::from_utf8(inner).is_ok_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
        _ => name.len() <= 254 && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_a_port() {
        for good in ["shop.test", "SHOP.test.", "shop.test:80", "a_b.test", "127.0.0.1:5000", "[::1]", "[::1]:80", ""] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "user@shop.test",
            "shop.test:80@evil.test",
            "shop.test:x",
            "shop.test:80:90",
            "shop.test:123456",
            "shop.test/x",
            "shop.test,evil.test",
            "shop.test evil.test",
            "shop.test\tx",
            "[::1]evil.test",
            "[::1",
            "[shop.test]",
            "::1",
            "shop.t\u{e9}st",
            "shop%2etest",
            "shop.test#",
            "shop.test?x",
            "shop.test\\",
            "\"shop.test\"",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[track_caller]
    fn target(method: &str, target: &str, good: bool) {
        let uri: Uri = target.parse().expect("a target");
        assert_eq!(is_good_target(&method.parse().expect("a method"), &uri), good, "{method} {target}");
    }

    #[test]
    fn a_target_is_a_path_or_an_address() {
        target("GET", "/", true);
        target("GET", "//evil.test/x", true);
        target("GET", "http://shop.test/x", true);
        target("GET", "http://shop.test", true);
        target("OPTIONS", "*", true);
        target("GET", "*", false);
        target("GET", "shop.test:80", false);
        target("GET", "shop.test", false);
        target("GET", "ftp://shop.test/", false);
    }
}
