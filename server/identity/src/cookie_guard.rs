//! Detects session cookies that an app has set for the domain that it shares with the console (cookie tossing).
//!
//! With TLS, the name prevents it: only the console's own host can set `__Host-wharf`. Without TLS, an app can give the
//! visitor a session of its owner's. Requests with two session cookies are rejected; a single one has to be verified:
//! the first time that a browser sends a session from a network, it is redirected once. That response removes all
//! cookies for the domain, and sets a mark that is valid for this session, network and browser. A session cookie that
//! is still there then was set by the console's own host.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use base::{Base, secrets};

use crate::request;

const PLAIN: &str = "wharf";
const WITH_TLS: &str = "__Host-wharf";
const MARK: &str = "wharf-own";

/// The name of the cookie that holds a session.
pub fn cookie_name(base: &Base) -> &'static str {
    if base.settings().tls { WITH_TLS } else { PLAIN }
}

/// The values of all cookies with this name.
pub fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).collect()
}

/// Whether the request has more than one session cookie: the visitor's own cannot be identified.
pub fn is_ambiguous(base: &Base, headers: &HeaderMap) -> bool {
    values(headers, cookie_name(base)).len() > 1
}

/// `Set-Cookie` values that remove cookies for the host's domain and each parent domain, for each path above the
/// request's. Cookies of the host itself stay.
pub fn removals(base: &Base, headers: &HeaderMap, path: &str) -> Vec<HeaderValue> {
    let host = host(base, headers);
    let mut domains = vec![host.as_str()];
    while let Some((_, rest)) = domains.last().and_then(|domain| domain.split_once('.')).filter(|d| d.1.contains('.')) {
        domains.push(rest);
    }
    let mut paths = vec!["/".to_owned()];
    for (at, _) in path.match_indices('/').skip(1).take(6) {
        paths.extend([path[..at].to_owned(), path[..=at].to_owned()]);
    }
    paths.push(path.to_owned());
    paths.dedup();
    let mut all = Vec::new();
    for name in [cookie_name(base), MARK] {
        for (domain, path) in domains.iter().flat_map(|domain| paths.iter().map(move |path| (domain, path))) {
            let text = format!("{name}=; Domain={domain}; Path={path}; Max-Age=0");
            all.extend(HeaderValue::from_str(&text));
        }
    }
    all
}

/// The requested host.
fn host(base: &Base, headers: &HeaderMap) -> String {
    let base = request::origin(base, headers);
    base.split_once("://").map_or("", |(_, host)| host).split(':').next().unwrap_or_default().to_owned()
}

/// Whether other hosts can set cookies for this one. Browsers do not allow that for a single label or an IP address, and
/// take such a `Domain` to mean the host itself: removing those would remove our own (RFC 6265, 5.3).
fn is_shared(host: &str) -> bool {
    host.contains('.') && host.parse::<IpAddr>().is_err()
}

/// The network of an address, since one browser's requests can come from several addresses of it.
pub(crate) fn network(address: Option<String>) -> String {
    match address.and_then(|address| address.parse::<IpAddr>().ok()) {
        Some(IpAddr::V4(v4)) => v4.octets()[..3].iter().map(|octet| format!("{octet}.")).collect(),
        Some(IpAddr::V6(v6)) => v6.segments()[..3].iter().map(|part| format!("{part:x}:")).collect(),
        None => String::new(),
    }
}

/// The result of checking the cookies of a request, with the `Set-Cookie` values for its response.
#[derive(Debug)]
pub enum CookieCheck {
    /// The page can be shown.
    Passed,
    /// There are two sessions, and neither is used: inform the visitor.
    Ambiguous(Vec<HeaderValue>),
    /// The session is not verified yet: redirect the browser to the same page.
    Unproven(Vec<HeaderValue>),
}

/// Checks the cookies of requests for pages.
#[derive(Clone)]
pub struct CookieGuard(Base);

impl CookieGuard {
    /// A guard with the settings and keys of `base`.
    pub fn new(base: &Base) -> Self {
        Self(base.clone())
    }

    /// Checks a request for the page at `path`. `navigates` says whether it can be redirected.
    pub fn check(&self, headers: &HeaderMap, path: &str, navigates: bool) -> CookieCheck {
        let base = &self.0;
        if is_ambiguous(base, headers) {
            return CookieCheck::Ambiguous(removals(base, headers, path));
        }
        // Only browsers have cookies set by other sites, and browsers identify themselves.
        let is_browser = headers.contains_key("upgrade-insecure-requests") || headers.contains_key("sec-fetch-mode");
        let is_checked = navigates && is_browser && !base.settings().tls && is_shared(&host(base, headers));
        let session = values(headers, PLAIN).pop().filter(|_| is_checked);
        let Some(session) = session else { return CookieCheck::Passed };
        let mark = self.mark(headers, &session);
        let marks = values(headers, MARK);
        if marks.len() == 1 && secrets::same(marks[0].as_bytes(), mark.as_bytes()) {
            return CookieCheck::Passed;
        }
        let mut all = removals(base, headers, path);
        let own = format!("{MARK}={mark}; Path=/; HttpOnly; SameSite=Lax; Max-Age=7776000");
        all.extend(HeaderValue::from_str(&own));
        CookieCheck::Unproven(all)
    }

    /// The proof that a browser has been redirected. An app's owner only gets one for their own network and browser.
    fn mark(&self, headers: &HeaderMap, session: &str) -> String {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content = serde_json::json!([session, network(request::address(headers)), agent]).to_string();
        hex::encode(&self.0.secrets().mac("cookie of the host", content.as_bytes())[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_its_network() {
        let of = |text: &str| network(Some(text.to_owned()));
        assert_eq!((of("192.0.2.7"), of("192.0.2.9")), ("192.0.2.".into(), "192.0.2.".into()));
        assert_eq!((of("2001:db8:1:2::3"), of("nonsense")), ("2001:db8:1:".into(), String::new()));
    }

    #[test]
    fn nobody_sets_cookies_for_one_label_or_an_address() {
        let shared = ["wharf.example.com", "example.com", "localhost", "127.0.0.1", "["].map(is_shared);
        assert_eq!(shared, [true, true, false, false, false]);
    }

    #[test]
    fn cookies_are_read_one_by_one() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; wharf=x;wharf=y".parse().unwrap());
        headers.append(header::COOKIE, "wharf-own=z; wharf=v".parse().unwrap());
        assert_eq!(values(&headers, PLAIN), ["x", "y", "v"]);
        assert_eq!(values(&headers, MARK), ["z"]);
    }
}
