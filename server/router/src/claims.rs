//! Headers that clients must not set: those that state their address or how they connected, those added by routers and
//! proxies, and those that only Wharf's own processes send each other.

use http::HeaderMap;
use http::header::HeaderName;

/// Names other than `x-forwarded-…` from which programs read the client's address or the request's real host, scheme or
/// path.
const WORDS: [&str; 17] = [
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-host",
    "x-http-host-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

/// Removes them. Those of a trusted proxy stay, except for Wharf's own and alternative spellings.
pub(crate) fn remove(headers: &mut HeaderMap, trusted: bool) {
    let is_one = |name: &&HeaderName| is_spelled_otherwise(name.as_str()) || is_claim(name.as_str(), trusted);
    let claims: Vec<HeaderName> = headers.keys().filter(is_one).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Whether a header is such a claim, for any client.
pub(crate) fn is_any(name: &HeaderName) -> bool {
    is_spelled_otherwise(name.as_str()) || is_claim(name.as_str(), false)
}

fn is_claim(name: &str, trusted: bool) -> bool {
    match name.as_bytes()[0] {
        b'x' if name.starts_with("x-wharf-") => true,
        b'x' if name.starts_with("x-forwarded-") => !trusted,
        b'x' | b'c' | b'f' | b't' => !trusted && WORDS.contains(&name),
        _ => false,
    }
}

/// Many programs treat `_` as `-`, and would find two headers with one name: `X_Forwarded_For`.
fn is_spelled_otherwise(name: &str) -> bool {
    if !name.contains('_') {
        return false;
    }
    let name = name.replace('_', "-");
    let of_the_message =
        ["connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade", "via"];
    is_claim(&name, false)
        || of_the_message.contains(&name.as_str())
        || ["x-request-id", "request-id", "x-request-start", "authorization", "cookie"].contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[track_caller]
    fn check(name: &'static str, stranger: bool, proxy: bool) {
        for (trusted, stays) in [(false, stranger), (true, proxy)] {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            remove(&mut headers, trusted);
            assert_eq!(headers.contains_key(name), stays, "{name}, trusted: {trusted}");
        }
    }

    #[test]
    fn claims_of_strangers_go_and_everything_else_stays() {
        for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-anything", "forwarded", "x-real-ip"] {
            check(name, false, true);
        }
        for name in
            ["x-wharf-push", "x_forwarded_for", "x-forwarded_for", "content_length", "x_wharf_push", "x_real_ip"]
        {
            check(name, false, false);
        }
        for name in ["x-custom", "x_custom", "accept", "x-forwarder", "cookie", "content-type", "x-csrf-token"] {
            check(name, true, true);
        }
    }
}
