//! Requests by `fetch`, with the session cookie, and the cache of prefetched responses.

use std::{cell::RefCell, collections::BTreeMap};

use api::{Error, Reply, Request, Transport, client::Carried};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestCache, RequestInit, RequestRedirect, Response};

/// The transport in the browser.
pub struct Fetch;

/// Fetches what will probably be needed soon, and caches the response for [`Fetch`].
pub struct Prefetch;

/// How long a cached response is fresh, in milliseconds.
const FRESH_MS: f64 = 5_000.0;
/// Maximum number of cached responses.
const MAX_CACHED: usize = 32;

thread_local! {
    /// Responses by request, with the time of arrival.
    static CACHE: RefCell<BTreeMap<Request, (f64, Reply)>> = const { RefCell::new(BTreeMap::new()) };
}

/// Takes the cached response. A change clears the cache, because its responses may be stale.
fn cached(request: &Request) -> Option<Reply> {
    CACHE.with_borrow_mut(|cached| {
        if request.method != "GET" {
            cached.clear();
            return None;
        }
        let (at, reply) = cached.remove(request)?;
        (js_sys::Date::now() - at < FRESH_MS).then_some(reply)
    })
}

impl Transport for Fetch {
    fn send(&self, request: Request) -> Carried {
        // JavaScript values cannot move between threads; there is only one.
        Box::pin(SendWrapper::new(async move {
            if let Some(reply) = cached(&request) {
                return Ok(reply);
            }
            fetch(&request)
                .await
                .map_err(|_| Error::unreachable("The platform is not responding. Try again in a moment."))
        }))
    }
}

impl Transport for Prefetch {
    fn send(&self, request: Request) -> Carried {
        Box::pin(SendWrapper::new(async move {
            let reply = fetch(&request).await.map_err(|_| Error::unreachable("The platform is not responding."))?;
            if reply.status == 200 {
                CACHE.with_borrow_mut(|cached| {
                    if cached.len() >= MAX_CACHED {
                        cached.clear();
                    }
                    cached.insert(request, (js_sys::Date::now(), reply.clone()));
                });
            }
            Ok(reply)
        }))
    }
}

async fn fetch(request: &Request) -> Result<Reply, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(request.method);
    init.set_headers(&headers);
    // A page has the same URL as its data: one must not be cached for the other.
    init.set_cache(RequestCache::NoStore);
    init.set_redirect(RequestRedirect::Error);
    if !request.body.is_empty() {
        init.set_body(&js_sys::Uint8Array::from(request.body.as_slice()));
    }
    let abort = AbortController::new()?;
    init.set_signal(Some(&abort.signal()));
    // Dropping the future, when the user navigates away, aborts the request.
    let _ending = EndsWith(abort);
    let window = web_sys::window().ok_or(JsValue::NULL)?;
    let response: Response = JsFuture::from(window.fetch_with_str_and_init(&request.path, &init)).await?.dyn_into()?;
    let body = JsFuture::from(response.array_buffer()?).await?;
    let headers = BTreeMap::from_iter(["request-id", "next-range", "etag"].into_iter().filter_map(|name| {
        let value = response.headers().get(name).ok().flatten()?;
        Some((name.to_owned(), value))
    }));
    Ok(Reply { status: response.status(), headers, body: js_sys::Uint8Array::new(&body).to_vec() })
}

struct EndsWith(AbortController);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.abort();
    }
}
