//! Where a request goes, by its host.

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
pub(crate) async fn serve(shared: Arc<Shared>, client: Arc<Client>, mut request: Request<Incoming>) -> Response<Body> {
    let in_flight = InFlight::new(client, shared);
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
        Some(Target::App(app)) => apps::serve(in_flight, app, request, host).await,
        Some(Target::Platform) => platform_hosts::serve(in_flight, request, host).await,
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

fn show(page: Page, request: &Request<Incoming>, in_flight: InFlight) -> Response<Body> {
    page.respond(request.headers().get(ACCEPT)).map(|data| Body::Page(Some(data), Holding::Platform(in_flight)))
}
