//! Cookies that an app has set for the domain that it shares with the console.
//!
//! With TLS their name prevents them: only the console's own host can set `__Host-wharf`. Without TLS an app can set a
//! session of its owner's for the visitor. Two at once are told from one; and one alone has to prove itself: a browser
//! that brings a session from an address for the first time is sent on once, with the removal of every cookie that is
//! for the domain, and with a mark that the platform made for this session, this address and this browser. What is
//! still there then was set by the console's own host.

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

/// Whether more than one session came: which of them is ours cannot be told.
pub fn is_planted(base: &Base, headers: &HeaderMap) -> bool {
    values(headers, cookie_name(base)).len() > 1
}

/// What removes the cookies that others have set for the domain, and leaves those of the host alone: for the host
/// and each domain that it is in, for each path that the request is below.
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

/// The host that the browser asked.
fn host(base: &Base, headers: &HeaderMap) -> String {
    let base = request::origin(base, headers);
    base.split_once("://").map_or("", |(_, host)| host).split(':').next().unwrap_or_default().to_owned()
}

/// Whether hosts below this one can set cookies for it. Browsers let nobody set any for a name of one label or for an
/// address, and take such a `Domain` to mean the host itself: removing those would remove our own. (RFC 6265, 5.3.)
fn is_shared(host: &str) -> bool {
    host.contains('.') && host.parse::<IpAddr>().is_err()
}

/// The network that an address is in: some people's requests come from several addresses of one.
pub(crate) fn network(address: Option<String>) -> String {
    match address.and_then(|address| address.parse::<IpAddr>().ok()) {
        Some(IpAddr::V4(v4)) => v4.octets()[..3].iter().map(|octet| format!("{octet}.")).collect(),
        Some(IpAddr::V6(v6)) => v6.segments()[..3].iter().map(|part| format!("{part:x}:")).collect(),
        None => String::new(),
    }
}

/// What a page has to be preceded by.
#[derive(Debug)]
pub enum Precaution {
    /// Nothing.
    None,
    /// Two sessions came: neither is taken. Tell the visitor, and set these.
    Tell(Vec<HeaderValue>),
    /// One came that has not proved to be ours: set these, and have the browser ask once more.
    AskAgain(Vec<HeaderValue>),
}

/// Looks at the cookies of requests for pages.
#[derive(Clone)]
pub struct CookieGuard(Base);

impl CookieGuard {
    /// Of `platform`.
    pub fn new(base: &Base) -> Self {
        Self(base.clone())
    }

    /// What the request with these headers for the page at `path` has to be preceded by. `navigates` says whether
    /// asking again is possible.
    pub fn of(&self, headers: &HeaderMap, path: &str, navigates: bool) -> Precaution {
        let base = &self.0;
        if is_planted(base, headers) {
            return Precaution::Tell(removals(base, headers, path));
        }
        // Programs do not come with what others have set, and browsers say that they are some.
        let is_browser = headers.contains_key("upgrade-insecure-requests") || headers.contains_key("sec-fetch-mode");
        let looks = navigates && is_browser && !base.settings().tls && is_shared(&host(base, headers));
        let session = values(headers, PLAIN).pop().filter(|_| looks);
        let Some(session) = session else { return Precaution::None };
        let mark = self.mark(headers, &session);
        let marks = values(headers, MARK);
        if marks.len() == 1 && secrets::same(marks[0].as_bytes(), mark.as_bytes()) {
            return Precaution::None;
        }
        let mut all = removals(base, headers, path);
        let own = format!("{MARK}={mark}; Path=/; HttpOnly; SameSite=Lax; Max-Age=7776000");
        all.extend(HeaderValue::from_str(&own));
        Precaution::AskAgain(all)
    }

    /// What nobody else can have for this session: an app's owner gets one for where they are themselves.
    fn mark(&self, headers: &HeaderMap, session: &str) -> String {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let said = serde_json::json!([session, network(request::address(headers)), agent]).to_string();
        hex::encode(&self.0.secrets().mac("cookie of the host", said.as_bytes())[..16])
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
