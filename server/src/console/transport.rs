//! Sends a page's requests to the API in process, on behalf of the page's visitor.
//!
//! Permissions and audit are the same code as for a request over the network.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use api::{
    Error,
    client::{Carried, Reply, Request, Transport},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{self, HeaderMap, HeaderName, header},
};
use futures::future::{FutureExt, Shared};
use identity::Visit;
use tower::ServiceExt;

/// The headers of the visitor's request that the API needs: credentials, addresses, hosts.
const FORWARDED: [HeaderName; 6] = [
    header::COOKIE,
    header::HOST,
    // For forms: the API accepts a write only from its own pages.
    header::ORIGIN,
    header::USER_AGENT,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// The maximum size of a response that a page is rendered from.
const MOST_BODY: usize = 64 << 20;

/// A transport to `api` with the credentials in the headers of a visitor.
///
/// A read is sent once, however many parts of the page need it: requests with equal headers have equal responses, since
/// all of a page has the same visitor.
pub struct InProcess {
    api: Router,
    headers: HeaderMap,
    visit: Visit,
    read: Mutex<HashMap<Request, Shared<Carried>>>,
}

impl InProcess {
    /// Sends requests on behalf of the sender of `visitor`.
    pub fn new(api: Router, visitor: &HeaderMap) -> InProcess {
        let mut headers = HeaderMap::new();
        for name in FORWARDED {
            for value in visitor.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        InProcess { api, headers, visit: Visit::default(), read: Mutex::default() }
    }
}

fn unreadable(err: &dyn std::fmt::Display) -> Error {
    Error::unreadable(500, format!("The request to the platform failed: {err}."))
}

impl InProcess {
    /// The raw response, with the cookies that it sets.
    pub fn answer(&self, request: Request) -> impl Future<Output = Result<http::Response<Body>, Error>> + use<> {
        let built = build(request, &self.headers).map(|mut built| {
            built.extensions_mut().insert(self.visit.clone());
            built
        });
        let api = self.api.clone();
        async move {
            let Ok(response) = api.oneshot(built.map_err(|err| unreadable(&err))?).await;
            Ok(response)
        }
    }
}

impl Transport for InProcess {
    fn send(&self, request: Request) -> Carried {
        if request.method != "GET" {
            return self.carry(request);
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = read.entry(request.clone()).or_insert_with(|| self.carry(request).shared());
        asked.clone().boxed()
    }
}

impl InProcess {
    fn carry(&self, request: Request) -> Carried {
        let answer = self.answer(request);
        Box::pin(async move {
            let (parts, body) = answer.await?.into_parts();
            let body = to_bytes(body, MOST_BODY).await.map_err(|err| unreadable(&err))?;
            let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
            Ok(Reply { status: parts.status.as_u16(), headers, body: body.into() })
        })
    }
}

fn build(request: Request, visitor: &HeaderMap) -> http::Result<http::Request<Body>> {
    let mut built = http::Request::builder().method(request.method).uri(request.path);
    for (name, value) in visitor {
        built = built.header(name, value);
    }
    for (name, value) in request.headers {
        built = built.header(name, value);
    }
    built.body(Body::from(request.body))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use axum::{response::IntoResponse, routing::get};

    #[tokio::test]
    async fn a_page_asks_the_same_only_once() {
        let count = Arc::new(AtomicUsize::new(0));
        let asked = count.clone();
        let tell = move || std::future::ready(axum::Json(count.fetch_add(1, Ordering::Relaxed)));
        let api = Router::new().route("/count", get(tell.clone()).post(tell));
        let ask = async |client: &api::Client, method: &'static str| -> usize {
            client.call(method, "/count".into(), None).await.unwrap()
        };
        let page = api::Client::new(InProcess::new(api.clone(), &HeaderMap::new()));
        assert_eq!((ask(&page, "GET").await, ask(&page, "GET").await), (0, 0));
        assert_eq!((ask(&page, "POST").await, ask(&page, "POST").await), (1, 2));
        let next = api::Client::new(InProcess::new(api, &HeaderMap::new()));
        assert_eq!((ask(&next, "GET").await, asked.load(Ordering::Relaxed)), (3, 4));
    }

    /// Everything that may change a response is part of the cache key.
    #[tokio::test]
    async fn pages_of_a_list_are_not_taken_for_each_other() {
        let count = Arc::new(AtomicUsize::new(0));
        let asked = count.clone();
        let tell = move |uri: http::Uri, headers: HeaderMap| {
            count.fetch_add(1, Ordering::Relaxed);
            let range = headers.get("range").and_then(|v| v.to_str().ok()).unwrap_or("none").to_owned();
            std::future::ready(axum::Json(format!("{uri} {range}")))
        };
        let page = InProcess::new(Router::new().fallback(tell), &HeaderMap::new());
        let ask = async |path: &str, headers: &[(&'static str, &str)], body: &str| {
            let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let request = Request { method: "GET", path: path.into(), headers, body: body.into() };
            String::from_utf8(page.send(request).await.unwrap().body).unwrap()
        };
        assert_eq!(ask("/l", &[], "").await, "\"/l none\"");
        assert_eq!(ask("/l", &[("range", "id ]a..")], "").await, "\"/l id ]a..\"");
        assert_eq!(ask("/l", &[("range", "id ]b..")], "").await, "\"/l id ]b..\"");
        assert_eq!(ask("/l?max=1", &[], "").await, "\"/l?max=1 none\"");
        ask("/l", &[("accept", "text/plain")], "").await;
        ask("/l", &[], "other").await;
        assert_eq!(asked.load(Ordering::Relaxed), 6);
        assert_eq!(ask("/l", &[("range", "id ]a..")], "").await, "\"/l id ]a..\"");
        assert_eq!(asked.load(Ordering::Relaxed), 6);
    }

    /// A list of 201 builds, which once crashed the server.
    #[tokio::test]
    async fn a_page_follows_a_list_to_its_end() {
        let rows = |headers: HeaderMap| async move {
            let range = headers.get("range").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
            let from = range.strip_prefix("id ]").and_then(|r| r.split("..").next()).map_or(0, |n| n.parse().unwrap());
            let page: Vec<usize> = (from + 1..=1001).take(200).collect();
            let more = page.last().filter(|last| **last < 1001).map(|last| format!("id ]{last}..; max=200"));
            let mut response = axum::Json(page).into_response();
            if let Some(more) = more {
                *response.status_mut() = http::StatusCode::PARTIAL_CONTENT;
                response.headers_mut().insert("next-range", more.parse().unwrap());
            }
            response
        };
        let client = api::Client::new(InProcess::new(Router::new().route("/rows", get(rows)), &HeaderMap::new()));
        let all: Vec<usize> = client.list("/rows".into(), None).await.unwrap();
        assert_eq!(all, (1..=1001).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_page_asks_as_its_visitor() {
        let who = |headers: HeaderMap| async move {
            let cookie = headers.get("cookie").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
            let agent = headers.contains_key("x-not-handed-on");
            axum::Json(serde_json::json!({ "cookie": cookie, "other": agent }))
        };
        let api = Router::new().route("/who", get(who));
        let mut visitor = HeaderMap::new();
        visitor.insert("cookie", "wharf=abc".parse().unwrap());
        visitor.insert("x-not-handed-on", "1".parse().unwrap());
        let client = api::Client::new(InProcess::new(api, &visitor));
        let answer: serde_json::Value = client.call("GET", "/who".into(), None).await.unwrap();
        assert_eq!(answer, serde_json::json!({ "cookie": "wharf=abc", "other": false }));
        let err = client.call::<serde_json::Value>("GET", "/none".into(), None).await.unwrap_err();
        assert_eq!(err.status, 404);
    }
}
