//! Forwarded headers: which are removed, and which are added.

use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};

use crate::claims;
use crate::origin::Origin;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
static VIA_US: HeaderValue = HeaderValue::from_static("1.1 wharf-router");

/// Maximum length of a header line, of a cookie and of a header name, as at Heroku.
pub(crate) const LINE_BYTES: usize = 8192;
const NAME_BYTES: usize = 1000;
const RESPONSE_LINE_BYTES: usize = 512 * 1024;

/// Removes hop-by-hop headers. Returns the protocol that the peer wants to switch to, if it does. Afterwards the
/// message states its length once, in one way, or not at all.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut upgrade = None;
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        if named.contains(&UPGRADE) {
            upgrade = headers.get(UPGRADE).cloned();
        }
        headers.remove(CONNECTION);
        headers.remove(HTTP2_SETTINGS);
        for name in named {
            if !is_end_to_end(&name) {
                headers.remove(name);
            }
        }
    }
    match headers.remove(TRANSFER_ENCODING) {
        Some(_) => {
            headers.remove(CONTENT_LENGTH);
            announce_trailers(headers);
        }
        None => {
            headers.remove(TRAILER);
            settle_length(headers);
        }
    }
    for name in [UPGRADE, TE, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
    upgrade
}

/// Keeps the announcement of those trailers that are passed on: only what is announced is sent. Programs may treat
/// trailers as headers, so none may be one that the router sets, removes or checks.
fn announce_trailers(headers: &mut HeaderMap) {
    if !headers.contains_key(TRAILER) {
        return;
    }
    let values = headers.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse::<HeaderName>().ok());
    let announced: Vec<HeaderName> = names.filter(is_trailer).collect();
    headers.remove(TRAILER);
    for name in announced {
        headers.append(TRAILER, HeaderValue::from(name));
    }
}

fn is_trailer(name: &HeaderName) -> bool {
    const NEVER: [&str; 9] = [
        "alt-svc",
        "clear-site-data",
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "request-id",
        "upgrade",
        "x-request-start",
    ];
    !is_end_to_end(name) && !claims::is_any(name) && !NEVER.contains(&name.as_str())
}

/// Headers that delimit the message, or that recipients rely on. Naming them in `Connection` is an attack.
fn is_end_to_end(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, AUTHORIZATION, COOKIE, ORIGIN, SET_COOKIE, VIA, X_REQUEST_ID].contains(name)
        || name.as_str().starts_with("x-forwarded-")
        || name.as_str().starts_with("sec-")
}

/// Normalizes the length: a single plain number. Several equal values, which hyper accepts, become one; an invalid one
/// is removed.
fn settle_length(headers: &mut HeaderMap) {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let plain = |value: &HeaderValue| {
        let digits = value.as_bytes();
        digits == b"0" || (length(digits).is_some() && !digits.starts_with(b"0"))
    };
    match (values.next(), values.next()) {
        (None, _) => return,
        (Some(value), None) if plain(value) => return,
        _ => {}
    }
    let parts = headers.get_all(CONTENT_LENGTH).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let lengths: Option<Vec<u64>> = parts.map(|part| length(part.trim_ascii())).collect();
    headers.remove(CONTENT_LENGTH);
    if let Some([first, rest @ ..]) = lengths.as_deref()
        && rest.iter().all(|length| length == first)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(*first));
    }
}

fn length(digits: &[u8]) -> Option<u64> {
    // `parse` would accept a sign.
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

/// Whether a connection can be upgraded to this protocol. Upgrades to another version of HTTP are not allowed: its
/// requests would bypass the router's checks.
pub(crate) fn may_upgrade(protocol: &HeaderValue) -> bool {
    let words = protocol.to_str().unwrap_or("h2c").to_ascii_lowercase();
    !words
        .split(',')
        .map(str::trim)
        .any(|word| word.starts_with("h2") || word.starts_with("http") || word.starts_with("tls"))
}

/// Whether the response's protocol is one of those requested.
pub(crate) fn is_one_of(answered: &HeaderValue, requested: &HeaderValue) -> bool {
    let (Ok(answered), Ok(requested)) = (answered.to_str(), requested.to_str()) else { return false };
    requested.split(',').any(|word| word.trim().eq_ignore_ascii_case(answered.trim()))
}

/// Restores the headers of an upgrade.
pub(crate) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Adds the headers of Heroku's router to a request for an app, replacing the client's own claims.
pub(crate) fn forward(headers: &mut HeaderMap, origin: &Origin, trusted: bool, request_id: &HeaderValue) {
    claims::remove(headers, trusted);
    who_asks(headers, origin);
    headers.insert(X_REQUEST_ID, request_id.clone());
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |since| since.as_millis() as u64);
    headers.insert(X_REQUEST_START, HeaderValue::from(now_ms));
    via(headers);
}

/// Adds the client's origin to a request for the platform, for rate limits and the audit log. Claims by anybody else
/// are removed, even those of a proxy.
pub(crate) fn forward_to_platform(
    headers: &mut HeaderMap,
    origin: &Origin,
    host: &HeaderValue,
    request_id: &HeaderValue,
) {
    claims::remove(headers, false);
    who_asks(headers, origin);
    headers.insert(X_FORWARDED_HOST, host.clone());
    headers.insert(REQUEST_ID, request_id.clone());
    headers.insert(X_REQUEST_ID, request_id.clone());
}

fn who_asks(headers: &mut HeaderMap, origin: &Origin) {
    headers.insert(X_FORWARDED_FOR, origin.address.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(origin.scheme()));
    headers.insert(X_FORWARDED_PORT, origin.port.clone());
}

pub(crate) fn via(headers: &mut HeaderMap) {
    let via = appended(headers, &VIA, &VIA_US);
    headers.insert(VIA, via);
}

/// The header's values, joined with one more.
fn appended(headers: &HeaderMap, name: &HeaderName, last: &HeaderValue) -> HeaderValue {
    if !headers.contains_key(name) {
        return last.clone();
    }
    let mut all = Vec::new();
    for value in headers.get_all(name).iter().chain([last]) {
        if !all.is_empty() {
            all.extend_from_slice(b", ");
        }
        all.extend_from_slice(value.as_bytes());
    }
    HeaderValue::from_bytes(&all).unwrap_or_else(|_| last.clone())
}

/// The client's request id, if it is valid, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let may_be = |id: &HeaderValue| {
        let id = id.as_bytes();
        (20..=200).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=-".contains(b))
    };
    match headers.get(X_REQUEST_ID) {
        Some(id) if may_be(id) => id.clone(),
        _ => new_request_id(),
    }
}

fn new_request_id() -> HeaderValue {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut text = [0; 36];
    id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_bytes(&text).expect("a uuid is a valid header value")
}

/// The expectation in `Expect`.
pub(crate) enum Expectation {
    Fine,
    /// Anything else: 417.
    Unknown,
}

/// Removes `Expect`: the router responds to it, when the dyno first reads the body.
pub(crate) fn take_expectation(headers: &mut HeaderMap) -> Expectation {
    match headers.remove(EXPECT) {
        Some(what) if !what.as_bytes().eq_ignore_ascii_case(b"100-continue") => Expectation::Unknown,
        _ => Expectation::Fine,
    }
}

/// Whether no header of a request is longer than allowed.
pub(crate) fn request_fits(headers: &HeaderMap) -> bool {
    headers
        .iter()
        .all(|(name, value)| name.as_str().len() <= NAME_BYTES && name.as_str().len() + value.len() <= LINE_BYTES)
}

/// Whether no header of a response is longer than allowed.
pub(crate) fn response_fits(headers: &HeaderMap) -> bool {
    headers.iter().all(|(name, value)| match *name == SET_COOKIE {
        true => value.len() <= LINE_BYTES,
        false => name.as_str().len() + value.len() <= RESPONSE_LINE_BYTES,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn what_concerns_one_connection_ends_here() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Private, host"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("host", "a.example"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("accept", "*/*"),
        ]);
        assert_eq!(strip_hop_by_hop(&mut headers), None);
        assert_eq!(headers, map(&[("host", "a.example"), ("accept", "*/*")]));
    }

    #[test]
    fn an_upgrade_is_asked_for_by_both_headers() {
        let mut headers = map(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(strip_hop_by_hop(&mut headers).expect("it is asked for"), "websocket");
        assert!(headers.is_empty());
    }

    #[test]
    fn a_length_beside_chunks_is_not_believed() {
        let mut headers = map(&[("transfer-encoding", "chunked"), ("content-length", "5")]);
        strip_hop_by_hop(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn trailers_are_announced_unless_they_would_be_claims() {
        let mut headers = map(&[("transfer-encoding", "chunked")]);
        headers.append(TRAILER, HeaderValue::from_static("X-Checksum, X-Forwarded-For, Content-Length"));
        headers.append(TRAILER, HeaderValue::from_static("Server-Timing, Cookie,, X_Real_IP, X-Real-IP, Set-Cookie"));
        strip_hop_by_hop(&mut headers);
        let names: Vec<_> = headers.get_all(TRAILER).iter().map(|name| name.to_str().expect("text")).collect();
        assert_eq!(names, ["x-checksum", "server-timing"]);
        // Without chunks there are none.
        let mut headers = map(&[("trailer", "x-checksum"), ("content-length", "5")]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("content-length", "5")]));
    }

    #[test]
    fn request_ids_are_kept_when_they_look_like_one() {
        let kept = map(&[("x-request-id", "abcdefghij0123456789+/=-")]);
        assert_eq!(request_id(&kept), "abcdefghij0123456789+/=-");
        for bad in ["short", "spaces are not allowed here", "\"quotes-are-not-allowed\""] {
            assert_eq!(request_id(&map(&[("x-request-id", bad)])).len(), 36);
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn via_is_appended() {
        let mut headers = map(&[("via", "1.0 other")]);
        via(&mut headers);
        assert_eq!(headers, map(&[("via", "1.0 other, 1.1 wharf-router")]));
    }

    #[test]
    fn a_length_is_one_number_or_none() {
        let settled = |values: &[&'static str]| {
            let mut headers = map(&[]);
            for value in values {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            strip_hop_by_hop(&mut headers);
            headers.get_all(CONTENT_LENGTH).iter().map(|v| v.to_str().expect("text").to_owned()).collect::<Vec<_>>()
        };
        for same in [&["5"][..], &["05"], &["5", "5"], &["5, 5"], &["5,05", "5"]] {
            assert_eq!(settled(same), ["5"], "{same:?}");
        }
        assert_eq!(settled(&["0"]), ["0"]);
        for bad in [&["5", "6"][..], &["5, 6"], &["+5"], &["0x5"], &[""], &["5, "], &["99999999999999999999"]] {
            assert_eq!(settled(bad), Vec::<String>::new(), "{bad:?}");
        }
    }

    #[test]
    fn connection_does_not_remove_headers_that_others_rely_on() {
        let mut headers =
            map(&[("connection", "close, X-Forwarded-For, Cookie"), ("x-forwarded-for", "1"), ("cookie", "a")]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("x-forwarded-for", "1"), ("cookie", "a")]));
    }

    #[test]
    fn no_other_http_behind_an_upgrade() {
        let may = |protocol| may_upgrade(&HeaderValue::from_static(protocol));
        assert!(may("websocket") && may("custom/1"));
        assert!(!may("h2c") && !may("websocket, H2C") && !may("HTTP/2.0") && !may("TLS/1.3"));
        let one =
            |answered, requested| is_one_of(&HeaderValue::from_static(answered), &HeaderValue::from_static(requested));
        assert!(one("WebSocket", "websocket") && one("b", "a, b") && !one("c", "a, b"));
    }
}
