//! Distinguishes requests for the API from requests for pages.
//!
//! They share paths: `/apps` is a list in JSON and a page. A request goes to the API if it accepts JSON, has its own
//! credentials, or is for something that only the API has.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, header},
};

/// The handler of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    Api,
    Page,
}

/// The first segments of pages. Other paths are pages only for browsers.
const PAGES: [&str; 7] = ["", "account", "apps", "audit", "login", "platform", "sign-in"];
/// The first segments of paths that belong to the API, whatever the request accepts.
const API: [&str; 7] = ["blobs", "events", "internal", "live", "logout", "streams", "terminals"];
/// The ends of the paths of git's requests.
const GIT: [&str; 3] = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];

/// The handler of `request`. `api_host` is the host without pages.
pub fn of(request: &Request, api_host: &str) -> For {
    let headers = request.headers();
    let path = request.uri().path();
    if request.method() == Method::POST && path.starts_with(super::forms::PREFIX) {
        return For::Page;
    }
    let only_api = !matches!(*request.method(), Method::GET | Method::HEAD)
        || headers.contains_key(header::AUTHORIZATION)
        || accepts(headers, "json")
        || host(headers).is_some_and(|host| host.eq_ignore_ascii_case(api_host))
        || is_api_path(path);
    if only_api {
        return For::Api;
    }
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match accepts(headers, "html") || PAGES.contains(&first) || super::assets::exists(path) {
        true => For::Page,
        false => For::Api,
    }
}

fn is_api_path(path: &str) -> bool {
    let mut segments = path.trim_start_matches('/').split('/');
    let first = segments.next().unwrap_or_default();
    // `/login` is a page, and so is the link `/login/<secret>`; the callback of a provider is not.
    let provider = first == "login" && segments.next() == Some("oauth");
    API.contains(&first) || first.ends_with(".git") || provider || GIT.iter().any(|end| path.ends_with(end))
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).any(|accept| accept.contains(kind))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

    fn check(method: &str, path: &str, headers: &[(&str, &str)], expected: For) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let got = of(&request.body(Body::empty()).unwrap(), "api.wharf.test");
        assert_eq!(got, expected, "{method} {path} {headers:?}");
    }

    #[test]
    fn api_and_pages_share_paths() {
        check("GET", "/apps", &[("accept", BROWSER)], For::Page);
        check("GET", "/apps", &[], For::Page);
        check("GET", "/apps", &[("accept", "application/vnd.heroku+json; version=3")], For::Api);
        check("GET", "/apps", &[("accept", "*/*"), ("authorization", "Bearer x")], For::Api);
        check("PATCH", "/apps/dusk", &[("accept", BROWSER)], For::Api);
        check("POST", "/apps", &[("accept", BROWSER)], For::Api);
        check("POST", "/forms/apps", &[("accept", BROWSER)], For::Page);
        check("GET", "/apps", &[("accept", BROWSER), ("host", "api.wharf.test:5000")], For::Api);
    }

    #[test]
    fn what_only_the_api_has_needs_no_header() {
        for path in [
            "/live",
            "/terminals/abc",
            "/streams/logs/abc",
            "/dusk.git/info/refs",
            "/dusk/git-upload-pack",
            "/blobs/slugs/x",
        ] {
            check("GET", path, &[("accept", BROWSER)], For::Api);
        }
        check("GET", "/regions", &[("accept", "*/*")], For::Api);
        check("GET", "/regions", &[("accept", BROWSER)], For::Page);
        check("GET", "/login/oauth/acme/callback?code=x&state=y", &[("accept", BROWSER)], For::Api);
        check("GET", "/events/export?action=app.", &[("accept", BROWSER)], For::Api);
        check("GET", "/oauth/authorize?client_id=x", &[("accept", BROWSER)], For::Page);
        check("GET", "/login", &[], For::Page);
        check("GET", "/login/", &[], For::Page);
        check("GET", "/login/secret", &[("accept", "image/*")], For::Page);
        check("HEAD", "/login/secret", &[], For::Page);
        check("POST", "/login/secret", &[("accept", BROWSER)], For::Api);
        check("POST", "/logout", &[("accept", BROWSER)], For::Api);
    }
}
