//! Requests to the platform itself, passed to the server's socket without time-outs.

use std::time::Duration;

use http::header::ACCEPT;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::client::InFlight;
use crate::headers;
use crate::pages::Page;
use crate::relay::{Body, Holding, Relay};
use crate::tunnel::Tunnel;
use crate::upload::{RequestBody, Upload};
use crate::wire::{Failure, Wire};

const POLL: Duration = Duration::from_millis(25);
const ANY_AGE: Duration = Duration::from_secs(60);
const YOUNG: Duration = Duration::from_secs(1);

/// Answers a request to one of the platform's hosts.
pub(crate) async fn serve(in_flight: InFlight, mut request: Request<Incoming>, host: HeaderValue) -> Response<Body> {
    let shared = in_flight.shared.clone();
    let on_upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, incoming) = request.into_parts();
    let accept = parts.headers.get(ACCEPT).cloned();
    let request_id = headers::request_id(&parts.headers);
    let protocol = headers::strip_hop_by_hop(&mut parts.headers);
    headers::take_expectation(&mut parts.headers);
    shared.constants.forward_to_platform(&mut parts.headers, &in_flight.client, &host, &request_id);
    let upgrade = protocol.map(|protocol| {
        headers::ask_upgrade(&mut parts.headers, protocol);
        on_upgrade
    });
    let path = parts.uri.into_parts().path_and_query;
    let mut head = Request::new(());
    *head.method_mut() = parts.method;
    *head.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    *head.headers_mut() = parts.headers;
    let exchange = Exchange { head, upload: Upload::new(incoming), in_flight };
    let (wire, response) = match exchange.run(upgrade.is_some()).await {
        Ok(answer) => answer,
        Err(page) => {
            return page
                .with_request_id(&request_id)
                .respond(accept.as_ref())
                .map(|data| Body::Page(Some(data), Holding::Platform(exchange.in_flight)));
        }
    };
    let (mut parts, incoming) = response.into_parts();
    parts.version = Version::HTTP_11;
    let protocol = headers::strip_hop_by_hop(&mut parts.headers);
    let holding = Holding::Platform(exchange.in_flight);
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(protocol), Some(client)) = (parts.status, protocol, upgrade) {
        headers::ask_upgrade(&mut parts.headers, protocol);
        let tunnel = Tunnel { client, wire, idle: None, shared, holding };
        return Response::from_parts(parts, tunnel.start());
    }
    let relay = Relay {
        incoming,
        wire: Some(wire),
        backend: shared.server.clone(),
        upload: exchange.upload,
        idle: None,
        last: Instant::now(),
        broken: false,
        holding: Some(holding),
    };
    Response::from_parts(parts, relay.into_body().await)
}

struct Exchange {
    head: Request<()>,
    upload: Option<std::sync::Arc<Upload>>,
    in_flight: InFlight,
}

impl Exchange {
    /// Asks the server, and while it is being restarted asks again, as far as that is safe.
    async fn run(&self, upgrade: bool) -> Result<(Box<Wire>, Response<Incoming>), Page> {
        let shared = &self.in_flight.shared;
        let method = self.head.method();
        let harmless = matches!(*method, Method::GET | Method::HEAD);
        let age = if harmless { ANY_AGE } else { YOUNG };
        let mut deadline = None;
        loop {
            let idle = match upgrade {
                true => None,
                false => shared.server.checkout(age).await,
            };
            let connected = match idle {
                Some(wire) => Ok(wire),
                None => Wire::connect(&shared.server.address).await,
            };
            if let Ok(mut wire) = connected {
                let request = self.request();
                match wire.send(request, self.upload.as_deref(), None).await {
                    Ok(response) => return Ok((wire, response)),
                    Err(Failure::Closed) if harmless && self.may_repeat() => {}
                    Err(Failure::ClientGone) => {
                        return Err(Page::bad_request("The request broke off."));
                    }
                    Err(failure) => {
                        tracing::warn!(?failure, "the server gave no answer");
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
