//! Requests by `fetch`, with the visitor's cookie.

use std::collections::BTreeMap;

use api::{Error, Reply, Request, Transport, client::Carried};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestCache, RequestInit, RequestRedirect, Response};

/// The browser's own way of asking.
pub struct Fetch;

impl Transport for Fetch {
    fn send(&self, request: Request) -> Carried {
        // Values of JavaScript do not move between threads; there is one.
        Box::pin(SendWrapper::new(async move {
            carry(request).await.map_err(|_| {
                Error::unreachable("The platform does not answer. What you see stays; try again in a moment.")
            })
        }))
    }
}

async fn carry(request: Request) -> Result<Reply, JsValue> {
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
