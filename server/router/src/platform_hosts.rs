//! Requests to the platform itself, forwarded to the server's socket. There is no limit on the server's response time,
//! but there are limits for its clients.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::Shared;
use crate::headers::{self, Expectation};
use crate::in_flight::InFlight;
use crate::incoming_body::IncomingBody;
use crate::joined::Joined;
use crate::pages::Page;
use crate::relay::{Body, Holding, Relay};
use crate::table::host_name;
use crate::tunnel::Tunnel;
use crate::upload::{Pace, RequestBody, Upload};
use crate::wire::{Failure, ResponseTimeouts, Wire};

const POLL: Duration = Duration::from_millis(25);
const ANY_AGE: Duration = Duration::from_secs(60);
const YOUNG: Duration = Duration::from_secs(1);

/// Responds to a request to one of the platform's hosts.
pub(crate) async fn serve(in_flight: InFlight, request: Request<IncomingBody>, host: HeaderValue) -> Response<Body> {
    let shared = in_flight.shared.clone();
    let https = in_flight.origin.https;
    let mut response = match shared.config.tls && !https {
        true => to_https(in_flight, &request, &host),
        false => answer(in_flight, request, host).await,
    };
    let seconds = shared.config.hsts.as_secs();
    if https && seconds > 0 {
        let value = HeaderValue::from_str(&format!("max-age={seconds}")).expect("a number is a valid header value");
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// Redirects a client that used plain HTTP, according to the proxy in front, to HTTPS.
fn to_https(in_flight: InFlight, request: &Request<IncomingBody>, host: &HeaderValue) -> Response<Body> {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let name = host_name(host.to_str().unwrap_or_default());
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let place = HeaderValue::from_str(&format!("https://{name}{path}"));
    let page = Page::only_https().last().respond(request.headers().get(ACCEPT));
    let mut response = page.map(|data| Body::Page(Some(data), Holding::Platform(Box::new(in_flight))));
    if let Ok(place) = place {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

async fn answer(in_flight: InFlight, mut request: Request<IncomingBody>, host: HeaderValue) -> Response<Body> {
    let shared = in_flight.shared.clone();
    let on_upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, incoming) = request.into_parts();
    let accept = parts.headers.get(ACCEPT).cloned();
    let request_id = headers::request_id(&parts.headers);
    let protocol = headers::strip_hop_by_hop(&mut parts.headers);
    let page = |page: Page, in_flight: InFlight| {
        page.with_request_id(&request_id)
            .respond(accept.as_ref())
            .map(|data| Body::Page(Some(data), Holding::Platform(Box::new(in_flight))))
    };
    if let Expectation::Unknown = headers::take_expectation(&mut parts.headers) {
        let unknown = Page::bad_request("Expect must be 100-continue.");
        return page(unknown.with_status(StatusCode::EXPECTATION_FAILED).last(), in_flight);
    }
    headers::forward_to_platform(&mut parts.headers, &in_flight.origin, &host, &request_id);
    let upload = Upload::new(incoming, &in_flight.client, Pace::Steady, is_safe(&parts.method));
    let protocol = protocol.filter(|p| upload.is_none() && p.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let upgrade = protocol.map(|protocol| {
        headers::ask_upgrade(&mut parts.headers, protocol);
        on_upgrade
    });
    let exchange = Exchange { head: head_of(parts), upload, in_flight };
    match exchange.run(upgrade.is_some()).await {
        Ok((wire, response)) => exchange.pass_back(wire, response, upgrade, &shared).await,
        Err(failed) => page(failed, exchange.in_flight),
    }
}

fn head_of(parts: Parts) -> Request<()> {
    let path = parts.uri.into_parts().path_and_query;
    let mut head = Request::new(());
    *head.method_mut() = parts.method;
    *head.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    *head.headers_mut() = parts.headers;
    head
}

/// Whether a request with this method can be repeated.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

struct Exchange {
    head: Request<()>,
    upload: Option<Arc<Upload>>,
    in_flight: InFlight,
}

impl Exchange {
    /// Forwards the request to the server, with retries while the server is restarting, as far as this is safe.
    async fn run(&self, upgrade: bool) -> Result<(Box<Wire>, Response<Incoming>), Page> {
        let shared = &self.in_flight.shared;
        let is_safe = is_safe(self.head.method());
        let age = if is_safe { ANY_AGE } else { YOUNG };
        let response_timeouts = ResponseTimeouts { first_byte: None, idle: shared.config.timeouts.idle };
        let mut deadline = None;
        loop {
            let idle = match upgrade {
                true => None,
                false => shared.server.checkout(age).await,
            };
            let connected = match idle {
                Some(wire) => Ok(wire),
                None => shared.server.connect().await,
            };
            if let Ok(mut wire) = connected {
                let request = self.request();
                match wire.send(request, self.upload.as_deref(), response_timeouts).await {
                    Ok(response) => return Ok((wire, response)),
                    Err(Failure::Closed) if is_safe && self.may_repeat() => {}
                    Err(Failure::ClientGone) => {
                        return Err(Page::bad_request("The request was interrupted.").last());
                    }
                    Err(Failure::ClientIdle) => return Err(Page::too_slow()),
                    Err(failure) => {
                        tracing::warn!(?failure, "the server did not respond");
                        return Err(Page::platform_broke_off());
                    }
                }
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + shared.config.timeouts.platform);
            if Instant::now() >= deadline {
                return Err(Page::platform_restarting());
            }
            sleep(POLL).await;
        }
    }

    async fn pass_back(
        self,
        wire: Box<Wire>,
        response: Response<Incoming>,
        upgrade: Option<OnUpgrade>,
        shared: &Arc<Shared>,
    ) -> Response<Body> {
        let (mut parts, incoming) = response.into_parts();
        parts.version = Version::HTTP_11;
        let protocol = headers::strip_hop_by_hop(&mut parts.headers);
        let holding = Holding::Platform(Box::new(self.in_flight));
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(protocol), Some(client)) = (parts.status, protocol, upgrade) {
            headers::ask_upgrade(&mut parts.headers, protocol);
            let tunnel = Tunnel { client, wire, idle: None, shared: shared.clone(), holding };
            return Response::from_parts(parts, tunnel.start());
        }
        let relay = Relay {
            incoming,
            joined: Joined::default(),
            frames: 0,
            wire: Some(wire),
            upload: self.upload,
            idle: shared.config.timeouts.idle,
            streams: true,
            last: Instant::now(),
            broken: false,
            holding: Some(holding),
        };
        Response::from_parts(parts, relay.into_body().await)
    }

    fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::new(self.upload.as_ref()));
        *request.method_mut() = self.head.method().clone();
        *request.uri_mut() = self.head.uri().clone();
        *request.headers_mut() = self.head.headers().clone();
        request
    }

    fn may_repeat(&self) -> bool {
        self.upload.as_deref().is_none_or(Upload::replayable)
    }
}
