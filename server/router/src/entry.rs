//! Dispatches requests by host.

use std::pin::Pin;
use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::Shared;
use crate::client::Client;
use crate::client_slots::{self, Full};
use crate::headers::LINE_BYTES;
use crate::in_flight::InFlight;
use crate::incoming_body::IncomingBody;
use crate::pages::Page;
use crate::relay::{Body, Holding};
use crate::strict::{self, Refusal};
use crate::table::{Target, host_name};
use crate::{apps, platform_hosts};

/// Responds to one request of a client.
pub(crate) fn serve(
    shared: Arc<Shared>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Response<Body>> {
    begin(&client, shared, IncomingBody::of(request, &client)).finish()
}

/// The remaining work once the destination of a request is known.
enum Work {
    App(Box<apps::Exchange>),
    /// A request to the platform, or one that has to wait.
    Other(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
    Page(Response<Body>),
}

impl Work {
    async fn finish(self) -> Response<Body> {
        match self {
            Work::App(exchange) => exchange.answer().await,
            Work::Other(answer) => answer.await,
            Work::Page(page) => page,
        }
    }
}

fn begin(client: &Arc<Client>, shared: Arc<Shared>, request: Request<IncomingBody>) -> Work {
    let origin = shared.origins.of(client, request.headers(), &shared.config);
    let mut in_flight = InFlight::new(client, shared, origin);
    // Connections of a proxy are not counted by address, so its requests are.
    if in_flight.client.trusted && in_flight.take_slot(Count::Proxied).is_err() {
        return Work::Other(Box::pin(async move {
            match in_flight.wait_for_seat(Count::Proxied).await {
                Ok(()) => route(in_flight, request).finish().await,
                Err(full) => show(Page::full(full), &request, in_flight).finish().await,
            }
        }));
    }
    route(in_flight, request)
}

fn route(in_flight: InFlight, mut request: Request<IncomingBody>) -> Work {
    let refusal = strict::check(&request).err();
    let Some(host) = strict::host(&mut request) else { return refuse(strict::BAD_HOST, &request, in_flight) };
    if request.uri().path_and_query().is_some_and(|p| p.as_str().len() > LINE_BYTES) {
        let page =
            Page::bad_request("The URL is too long: the maximum is 8192 bytes.").with_status(StatusCode::URI_TOO_LONG);
        return show(page, &request, in_flight);
    }
    let name = host_name(host.to_str().unwrap_or_default());
    let target = in_flight.shared.table.load().find(name);
    match (target, refusal) {
        (Some(Target::App(app)), refusal) => Work::App(apps::begin(in_flight, app, request, host, refusal)),
        (_, Some(refusal)) => refuse(refusal, &request, in_flight),
        (Some(Target::Platform), None) => Work::Other(Box::pin(to_platform(in_flight, request, host))),
        (None, None) => show(Page::no_such_app(name), &request, in_flight),
    }
}

/// The server accepts fewer connections than there are clients.
async fn to_platform(mut in_flight: InFlight, request: Request<IncomingBody>, host: HeaderValue) -> Response<Body> {
    match in_flight.wait_for_seat(Count::Platform).await {
        Ok(()) => platform_hosts::serve(in_flight, request, host).await,
        Err(full) => show(Page::full(full), &request, in_flight).finish().await,
    }
}

/// The key by which requests are counted.
#[derive(Clone, Copy)]
enum Count {
    Proxied,
    Platform,
}

impl InFlight {
    fn take_slot(&mut self, count: Count) -> Result<(), Full> {
        let (shared, ip) = (&self.shared, self.origin.ip);
        let slots = match count {
            Count::Proxied => &shared.proxied,
            Count::Platform => &shared.platform,
        };
        self.slots.push(slots.take(Some(ip), &self.client, |n| shared.note_evicted(n, ip))?);
        Ok(())
    }

    /// Takes a slot, waiting until paused clients can be evicted.
    async fn wait_for_seat(&mut self, count: Count) -> Result<(), Full> {
        let waited = client_slots::wait_for(|| self.take_slot(count)).await;
        waited.inspect_err(|_| self.shared.note_refused(self.origin.ip))
    }
}

/// Rejects an ambiguous request. Nothing more is read from the connection.
fn refuse(refusal: Refusal, request: &Request<IncomingBody>, in_flight: InFlight) -> Work {
    in_flight.shared.note_malformed(in_flight.origin.ip, &refusal.sentence);
    show(Page::bad_request(refusal.sentence).with_status(refusal.status).last(), request, in_flight)
}

fn show(page: Page, request: &Request<IncomingBody>, in_flight: InFlight) -> Work {
    let page = page.respond(request.headers().get(ACCEPT));
    Work::Page(page.map(|data| Body::Page(Some(data), Holding::Platform(Box::new(in_flight)))))
}
