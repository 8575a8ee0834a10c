//! Requests by `fetch`, with the visitor's cookie; and answers that came before they were wanted.

use std::{cell::RefCell, collections::BTreeMap};

use api::{Error, Reply, Request, Transport, client::Carried};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestCache, RequestInit, RequestRedirect, Response};

/// The browser's own way of asking.
pub struct Fetch;

/// Asks for what will be wanted soon, and keeps the answer for [`Fetch`].
pub struct Ahead;

/// Milliseconds for which an answer is as good as a new one.
const FRESH_MS: f64 = 5_000.0;
/// Answers that are kept at once.
const MOST_KEPT: usize = 32;

thread_local! {
    /// Answers by what was asked, with the time at which they came.
    static KEPT: RefCell<BTreeMap<Request, (f64, Reply)>> = const { RefCell::new(BTreeMap::new()) };
}

/// The kept answer, once. A change forgets all of them: they may be of before.
fn kept(request: &Request) -> Option<Reply> {
    KEPT.with_borrow_mut(|kept| {
        if request.method != "GET" {
            kept.clear();
            return None;
        }
        let (at, reply) = kept.remove(request)?;
        (js_sys::Date::now() - at < FRESH_MS).then_some(reply)
    })
}

impl Transport for Fetch {
    fn send(&self, request: Request) -> Carried {
        // Values of JavaScript do not move between threads; there is one.
        Box::pin(SendWrapper::new(async move {
            if let Some(reply) = kept(&request) {
                return Ok(reply);
            }
            carry(&request).await.map_err(|_| {
                Error::unreachable("The platform does not answer. What you see stays; try again in a moment.")
            })
        }))
    }
}

impl Transport for Ahead {
    fn send(&self, request: Request) -> Carried {
        Box::pin(SendWrapper::new(async move {
            let reply = carry(&request).await.map_err(|_| Error::unreachable("The platform does not answer."))?;
            if reply.status == 200 {
                KEPT.with_borrow_mut(|kept| {
                    if kept.len() >= MOST_KEPT {
                        kept.clear();
                    }
                    kept.insert(request, (js_sys::Date::now(), reply.clone()));
                });
            }
            Ok(reply)
        }))
    }
}

async fn carry(request: &Request) -> Result<Reply, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(request.method);
    init.set_headers(&headers);
    // A page has the same address as the data behind it: neither may stand for the other.
    init.set_cache(RequestCache::NoStore);
    init.set_redirect(RequestRedirect::Error);
    if !request.body.is_empty() {
        init.set_body(&js_sys::Uint8Array::from(request.body.as_slice()));
    }
    let abort = AbortController::new()?;
    init.set_signal(Some(&abort.signal()));
    // A future that is dropped, because the reader went on, takes its request along.
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
