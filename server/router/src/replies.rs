//! Response headers by which an app could affect other apps.
//!
//! To browsers, all apps below one domain are the same site, and so are the platform's own hosts if they are below it:
//! a cookie for that domain would be sent to all of them.

use http::header::{ALT_SVC, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use crate::table::Table;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Whether a response has headers that [`restrict_cookies`] has to check.
pub(crate) fn may_concern_others(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| *name == SET_COOKIE || *name == ALT_SVC || *name == CLEAR_SITE_DATA)
}

/// Removes what affects other hosts than the requested one from an app's response.
pub(crate) fn restrict_cookies(headers: &mut HeaderMap, host: &str, table: &Table) {
    // Only the router determines the available ports and protocols.
    headers.remove(ALT_SVC);
    if headers.contains_key(SET_COOKIE) {
        tame_cookies(headers, table);
    }
    // It would clear the cookies of the whole site.
    if headers.contains_key(CLEAR_SITE_DATA) && table.is_shared(host) {
        headers.remove(CLEAR_SITE_DATA);
    }
}

/// Restricts a cookie for a shared domain to the app.
fn tame_cookies(headers: &mut HeaderMap, table: &Table) {
    let reaches = |cookie: &HeaderValue| domains(cookie.as_bytes()).any(|domain| table.reaches_others(domain));
    if !headers.get_all(SET_COOKIE).iter().any(reaches) {
        return;
    }
    let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        let cookie = if reaches(&cookie) { without_domain(&cookie) } else { cookie };
        headers.append(SET_COOKIE, cookie);
    }
}

fn attributes(cookie: &[u8]) -> impl Iterator<Item = &[u8]> {
    cookie.split(|b| *b == b';').skip(1)
}

/// The value of an attribute, if it is `Domain`.
fn domain(attribute: &[u8]) -> Option<&[u8]> {
    let at = attribute.iter().position(|b| *b == b'=')?;
    attribute[..at].trim_ascii().eq_ignore_ascii_case(b"domain").then(|| attribute[at + 1..].trim_ascii())
}

fn domains(cookie: &[u8]) -> impl Iterator<Item = &[u8]> {
    attributes(cookie).filter_map(domain)
}

fn without_domain(cookie: &HeaderValue) -> HeaderValue {
    let parts: Vec<&[u8]> = cookie.as_bytes().split(|b| *b == b';').collect();
    let kept: Vec<&[u8]> =
        parts.iter().enumerate().filter(|(i, part)| *i == 0 || domain(part).is_none()).map(|(_, part)| *part).collect();
    HeaderValue::from_bytes(&kept.join(&b';')).expect("a part of a valid header is valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::pool::Pool;
    use crate::routes::Routes;

    fn tamed(cookie: &'static str) -> String {
        let routes = Routes {
            platform_hosts: vec!["wharf.test".into(), "api.wharf.test".into()],
            apps_domain: "apps.wharf.test".into(),
            ..Routes::default()
        };
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        let pool = Pool::new(1, Files::for_backends(1));
        restrict_cookies(&mut headers, "shop.apps.wharf.test", &Table::new(&routes, &Table::default(), &pool));
        headers[SET_COOKIE].to_str().expect("text").to_owned()
    }

    #[test]
    fn a_cookie_for_a_shared_domain_is_the_apps_alone() {
        for cookie in [
            "a=b; Domain=wharf.test; Path=/",
            "a=b; domain=.WHARF.test; Path=/",
            "a=b;DOMAIN = apps.wharf.test ; Path=/",
            "a=b; Domain=api.wharf.test.; Path=/",
            "a=b; Domain=test; Path=/",
            "a=b; Domain=x.example; Path=/; Domain=wharf.test",
        ] {
            assert_eq!(tamed(cookie).replace("; ", ";"), "a=b;Path=/", "{cookie}");
        }
    }

    #[test]
    fn other_cookies_stay_as_they_are() {
        for cookie in [
            "a=b",
            "a=b; Path=/; HttpOnly",
            "a=Domain=wharf.test",
            "a=b; Domain=shop.apps.wharf.test",
            "a=b; Domain=shop.example",
            "a=b; Domain=notwharf.test",
            "a=b; Domain",
        ] {
            assert_eq!(tamed(cookie), cookie);
        }
    }
}
