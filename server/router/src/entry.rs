//! Where a request goes, by its host.

use std::pin::Pin;
use std::sync::Arc;

use http::header::{ACCEPT, HOST};
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::Shared;
use crate::client::{Client, InFlight};
use crate::headers::LINE_BYTES;
use crate::pages::Page;
use crate::relay::{Body, Holding};
use crate::table::{Target, host_name};
use crate::{apps, platform_hosts};

/// Answers one request of a client.
pub(crate) fn serve(
    shared: Arc<Shared>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Response<Body>> {
    let work = begin(InFlight::new(client, shared), request);
    async {
        match work {
            Work::App(exchange) => exchange.answer().await,
            Work::Platform(answer) => answer.await,
            Work::Page(page) => page,
        }
    }
}

/// What is left to do once it is known where a request goes.
enum Work {
    App(Box<apps::Exchange>),
    Platform(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
    Page(Response<Body>),
}

fn begin(in_flight: InFlight, mut request: Request<Incoming>) -> Work {
    if *request.method() == Method::CONNECT {
        return show(Page::connect_refused(), &request, in_flight);
    }
    let Some(host) = host(&mut request) else {
        let page = Page::bad_request("The request has no Host header, or more than one.");
        return show(page, &request, in_flight);
    };
    if request.uri().path_and_query().is_some_and(|p| p.as_str().len() > LINE_BYTES) {
        let page =
            Page::bad_request("The address is too long: 8192 bytes are allowed.").with_status(StatusCode::URI_TOO_LONG);
        return show(page, &request, in_flight);
    }
    let name = host_name(host.to_str().unwrap_or_default());
    let target = in_flight.shared.table.load().find(name);
    match target {
        Some(Target::App(app)) => Work::App(apps::begin(in_flight, app, request, host)),
        Some(Target::Platform) => Work::Platform(Box::pin(platform_hosts::serve(in_flight, request, host))),
        None => show(Page::no_such_app(name), &request, in_flight),
    }
}

/// The host that is asked for. A target with a host of its own counts more than the header.
fn host(request: &mut Request<Incoming>) -> Option<HeaderValue> {
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        request.headers_mut().insert(HOST, host.clone());
        return Some(host);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.clone()),
        // HTTP/1.0 had no hosts; who speaks it means the machine.
        (None, None) if request.version() == Version::HTTP_10 => {
            let host = HeaderValue::from_static("localhost");
            request.headers_mut().insert(HOST, host.clone());
            Some(host)
        }
        _ => None,
    }
}

fn show(page: Page, request: &Request<Incoming>, in_flight: InFlight) -> Work {
    let page = page.respond(request.headers().get(ACCEPT));
    Work::Page(page.map(|data| Body::Page(Some(data), Holding::Platform(in_flight))))
}
