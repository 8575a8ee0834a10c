//! Headers on their way through: what ends here, and what is added.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};

use crate::client::Client;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Longest line of a head, of a cookie and of a header's name, as at Heroku.
pub(crate) const LINE_BYTES: usize = 8192;
const NAME_BYTES: usize = 1000;
const RESPONSE_LINE_BYTES: usize = 512 * 1024;

/// Removes what concerns one connection only. Returns the protocol that the peer wants to switch
/// to, if it does.
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
        for name in named {
            // These carry the message itself; a request that names them means mischief.
            if name != HOST && name != CONTENT_LENGTH {
                headers.remove(name);
            }
        }
    }
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
    for name in [UPGRADE, TE, TRAILER, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
    upgrade
}

/// Puts back what asks for another protocol.
pub(crate) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// What every request of this router gets alike.
pub(crate) struct Constants {
    proto: HeaderValue,
    port: HeaderValue,
    via: HeaderValue,
}

impl Constants {
    pub(crate) fn new(tls: bool, port: u16) -> Constants {
        Constants {
            proto: HeaderValue::from_static(if tls { "https" } else { "http" }),
            port: HeaderValue::from(if tls { 443 } else { port }),
            via: HeaderValue::from_static("1.1 wharf-router"),
        }
    }

    pub(crate) fn proto(&self) -> &str {
        self.proto.to_str().expect("it is ASCII")
    }

    /// Adds to a request for an app what Heroku's router adds. Returns its `X-Forwarded-For`.
    pub(crate) fn forward(
        &self,
        headers: &mut HeaderMap,
        client: &Arc<Client>,
        request_id: &HeaderValue,
    ) -> HeaderValue {
        let forwarded = appended(headers, &X_FORWARDED_FOR, &client.address);
        headers.insert(X_FORWARDED_FOR, forwarded.clone());
        headers.insert(X_FORWARDED_PROTO, self.proto.clone());
        headers.insert(X_FORWARDED_PORT, self.port.clone());
        headers.insert(X_REQUEST_ID, request_id.clone());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |since| since.as_millis() as u64);
        headers.insert(X_REQUEST_START, HeaderValue::from(now_ms));
        self.via(headers);
        forwarded
    }

    /// Adds to a request for the platform who asks and where. The client's own claims are not
    /// believed, because rate limits and the audit go by them.
    pub(crate) fn forward_to_platform(
        &self,
        headers: &mut HeaderMap,
        client: &Arc<Client>,
        host: &HeaderValue,
        request_id: &HeaderValue,
    ) {
        headers.insert(X_FORWARDED_FOR, client.address.clone());
        headers.insert(X_FORWARDED_PROTO, self.proto.clone());
        headers.insert(X_FORWARDED_PORT, self.port.clone());
        headers.insert(X_FORWARDED_HOST, host.clone());
        headers.insert(REQUEST_ID, request_id.clone());
        headers.insert(X_REQUEST_ID, request_id.clone());
    }

    pub(crate) fn via(&self, headers: &mut HeaderMap) {
        let via = appended(headers, &VIA, &self.via);
        headers.insert(VIA, via);
    }
}

/// The header's values joined with one more.
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

/// The client's request id, if it may be one, or a new one.
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

/// What `Expect` asks for.
pub(crate) enum Expectation {
    Fine,
    /// Nothing we know: 417.
    Unknown,
}

/// Takes `Expect` away: whether to go on is answered here, when the dyno first wants the body.
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
    fn request_ids_are_kept_when_they_look_like_one() {
        let kept = map(&[("x-request-id", "abcdefghij0123456789+/=-")]);
        assert_eq!(request_id(&kept), "abcdefghij0123456789+/=-");
        for bad in ["short", "spaces are not allowed here", "\"quotes-are-not-allowed\""] {
            assert_eq!(request_id(&map(&[("x-request-id", bad)])).len(), 36);
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn forwarded_for_is_appended() {
        let headers = map(&[("x-forwarded-for", "1.1.1.1")]);
        let last = HeaderValue::from_static("2.2.2.2");
        assert_eq!(appended(&headers, &X_FORWARDED_FOR, &last), "1.1.1.1, 2.2.2.2");
        assert_eq!(appended(&HeaderMap::new(), &X_FORWARDED_FOR, &last), "2.2.2.2");
    }
}
