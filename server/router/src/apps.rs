//! A request to an app: choosing a dyno, and what happens when it fails.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri, Version, request};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use tokio::time::{Instant, timeout, timeout_at};

use crate::backends::{Backend, Choice, Lease, choose};
use crate::codes::Code;
use crate::headers::{self, Expectation};
use crate::in_flight::InFlight;
use crate::incoming_body::IncomingBody;
use crate::joined::Joined;
use crate::lines::Record;
use crate::pages::Page;
use crate::queue::Place;
use crate::relay::{Body, Holding, Relay};
use crate::replies;
use crate::routes::AppState;
use crate::strict::Refusal;
use crate::table::{App, host_name};
use crate::tunnel::Tunnel;
use crate::upload::{Pace, RequestBody, Upload};
use crate::wire::{Failure, ResponseTimeouts, Wire};

/// Maximum number of dynos tried per request.
const TRIES: usize = 10;
/// Maximum age of an idle connection for requests that can be repeated.
const ANY_AGE: Duration = Duration::from_secs(60);
/// Maximum age for other requests: no dyno would be closing such a young connection.
const YOUNG: Duration = Duration::from_secs(1);

/// Starts a request to `app`. Everything that does not wait is done here, so that the future of [`Exchange::answer`],
/// which is moved for every request, stays small.
pub(crate) fn begin(
    in_flight: InFlight,
    app: Arc<App>,
    mut request: Request<IncomingBody>,
    host: HeaderValue,
    refusal: Option<Refusal>,
) -> Box<Exchange> {
    let on_upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, incoming) = request.into_parts();
    let fits = headers::request_fits(&parts.headers);
    let crowded = app.stats.inflight.fetch_add(1, Relaxed) >= (in_flight.shared.files.clients / 2) as u64;
    let refused = match headers::take_expectation(&mut parts.headers) {
        _ if refusal.is_some() => refusal.map(|refusal| (Code::H26, refusal.status)),
        Expectation::Unknown => Some((Code::H26, StatusCode::EXPECTATION_FAILED)),
        Expectation::Fine if !fits => Some((Code::H26, StatusCode::BAD_REQUEST)),
        // The limits of one app's use of the router, so that enough is left for others.
        Expectation::Fine if crowded => Some((Code::H11, Code::H11.status())),
        Expectation::Fine => None,
    };
    let protocol = headers::strip_hop_by_hop(&mut parts.headers);
    let request_id = headers::request_id(&parts.headers);
    headers::forward(&mut parts.headers, &in_flight.origin, in_flight.client.trusted, &request_id);
    let upload = Upload::new(incoming, &in_flight.client, Pace::Any, parts.method.is_idempotent());
    let upgrade = protocol.filter(|protocol| upload.is_none() && headers::may_upgrade(protocol)).map(|protocol| {
        headers::ask_upgrade(&mut parts.headers, protocol.clone());
        (protocol, on_upgrade)
    });
    let record = Box::new(Record {
        app,
        method: parts.method.clone(),
        path: parts.uri.path_and_query().cloned(),
        host,
        request_id,
        lease: None,
        connect: None,
        start: Instant::now(),
        status: 0,
        bytes: 0,
        upload,
        upgraded: false,
        finished: false,
        in_flight,
    });
    let accept = parts.headers.get(ACCEPT).cloned();
    Box::new(Exchange { record, head: Head::new(parts), upgrade, accept, refused })
}

/// The head of a request as sent to a dyno, cloned as often as needed.
struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    fn new(parts: request::Parts) -> Head {
        let path = parts.uri.into_parts().path_and_query;
        Head {
            method: parts.method,
            uri: Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/"))),
            headers: parts.headers,
        }
    }

    /// `again` says whether the head may be needed once more.
    fn request(&mut self, body: RequestBody, again: Again) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = match again {
            Again::Maybe => self.headers.clone(),
            Again::Never => std::mem::take(&mut self.headers),
        };
        request
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Maybe,
    Never,
}

/// A request to an app in progress.
pub(crate) struct Exchange {
    record: Box<Record>,
    head: Head,
    /// The protocol that the client wants to upgrade to.
    upgrade: Option<(HeaderValue, OnUpgrade)>,
    accept: Option<HeaderValue>,
    /// Why the request must not go to any dyno.
    refused: Option<(Code, StatusCode)>,
}

type Answer = (Box<Wire>, Response<Incoming>);

impl Exchange {
    /// Responds to the request, with a dyno's response or an error page.
    pub(crate) async fn answer(mut self: Box<Self>) -> Response<Body> {
        if let Some((code, status)) = self.refused {
            return self.refuse(code, status);
        }
        match self.run().await {
            Ok((wire, response)) => self.pass_back(wire, response).await,
            Err(code) => self.fail(code),
        }
    }

    /// Finds a dyno and forwards the request to it.
    async fn run(&mut self) -> Result<Answer, Code> {
        let mut is_first = true;
        let mut tried = Vec::new();
        let mut last_failure = Code::H21;
        let mut repeated = false;
        loop {
            if tried.len() >= TRIES {
                return Err(last_failure);
            }
            let backend = self.find(std::mem::take(&mut is_first), &tried, last_failure).await?;
            // It may have been taken out of the table since.
            let Some(lease) = Lease::take(&backend) else { continue };
            self.record.lease = Some(lease);
            let (mut wire, again) = match self.reuse(repeated).await {
                Some(wire) => wire,
                None => match self.connect().await {
                    Ok(wire) => (wire, Again::Never),
                    Err(Code::H99) => return Err(Code::H99),
                    Err(code) => {
                        // The dyno received the request and then disconnected: that is the error to report.
                        last_failure = if repeated { Code::H13 } else { code };
                        tried.push(self.backend().clone());
                        continue;
                    }
                },
            };
            let body = RequestBody::new(self.record.upload.as_ref());
            let request = self.head.request(body, again);
            let upload = self.record.upload.as_deref();
            match wire.send(request, upload, self.response_timeouts()).await {
                Ok(response) => return Ok((wire, response)),
                // The dyno closed the idle connection just as we took it.
                Err(Failure::Closed) if again == Again::Maybe && upload.is_none_or(Upload::replayable) => {
                    repeated = true;
                }
                Err(failure) => return Err(code_of(failure)),
            }
        }
    }

    /// The dyno that was chosen.
    fn backend(&self) -> &Arc<Backend> {
        &self.record.lease.as_ref().expect("a dyno was chosen").backend
    }

    /// A dyno for this request; waits if the app is starting, and then no longer counts at the dyno that was tried last.
    /// `as_routed` uses the app as it was when the request arrived.
    async fn find(
        &mut self,
        mut as_routed: bool,
        tried: &[Arc<Backend>],
        last_failure: Code,
    ) -> Result<Arc<Backend>, Code> {
        let shared = &self.record.in_flight.shared;
        let deadline = self.record.start + shared.config.timeouts.boot;
        let mut place = None;
        loop {
            // Created before the table is read, so that no change in between is missed.
            let changed = shared.changed.notified();
            let is_fresh = !std::mem::take(&mut as_routed);
            let current = match is_fresh {
                true => Some(shared.table.load().apps.get(&self.record.app.id).cloned().ok_or(Code::H14)?),
                false => None,
            };
            let app = current.as_ref().unwrap_or(&self.record.app);
            match app.state {
                AppState::Maintenance => return Err(Code::H80),
                AppState::Blank => return Err(Code::H81),
                _ => {}
            }
            let failure = match choose(&app.backends, tried) {
                Choice::Take(backend) => return Ok(backend),
                Choice::Quarantined => Some(Code::H34),
                Choice::NoneLeft => (!app.backends.is_empty()).then_some(last_failure),
            };
            if let Some(failure) = failure {
                return match choose(&app.standby, tried) {
                    Choice::Take(backend) => Ok(backend),
                    Choice::Quarantined | Choice::NoneLeft => Err(failure),
                };
            }
            match app.state {
                AppState::NoWeb => return Err(Code::H14),
                AppState::Crashed => return Err(Code::H10),
                _ => {}
            }
            // The table may have changed since the request arrived, without another notification.
            if !is_fresh {
                continue;
            }
            if place.is_none() {
                place = Some(Place::take(&app.queue)?);
                // The dyno may be waiting for its last request to end.
                self.record.lease = None;
            }
            timeout_at(deadline, changed).await.map_err(|_| Code::H20)?;
        }
    }

    /// An idle connection to the dyno, if this request can use one.
    async fn reuse(&mut self, repeated: bool) -> Option<(Box<Wire>, Again)> {
        // The first failure may not have been the dyno's fault; on a new connection, the second certainly is. And
        // a connection that changes its protocol does not return to the pool.
        if repeated || self.upgrade.is_some() {
            return None;
        }
        let (age, again) = match self.head.method.is_idempotent() {
            true => (ANY_AGE, Again::Maybe),
            false => (YOUNG, Again::Never),
        };
        let wire = self.backend().checkout(age).await?;
        self.record.connect = Some(Duration::ZERO);
        Some((wire, again))
    }

    async fn connect(&mut self) -> Result<Box<Wire>, Code> {
        let timeouts = self.record.in_flight.shared.config.timeouts;
        let start = Instant::now();
        let result = timeout(timeouts.connect, self.backend().connect()).await;
        self.record.connect = Some(start.elapsed());
        let backend = self.backend();
        match result {
            Ok(Ok(wire)) => {
                backend.release();
                Ok(wire)
            }
            Ok(Err(error)) if is_ours(&error) => {
                tracing::error!(%error, "could not connect to a dyno");
                Err(Code::H99)
            }
            Ok(Err(error)) => {
                let timed_out = error.kind() == io::ErrorKind::TimedOut;
                backend.quarantine(timeouts.quarantine, timed_out);
                Err(if timed_out { Code::H19 } else { Code::H21 })
            }
            Err(_) => {
                backend.quarantine(timeouts.quarantine, true);
                Err(Code::H19)
            }
        }
    }

    fn response_timeouts(&self) -> ResponseTimeouts {
        let timeouts = self.record.in_flight.shared.config.timeouts;
        ResponseTimeouts { first_byte: Some(timeouts.first_byte), idle: timeouts.idle }
    }

    async fn pass_back(mut self: Box<Self>, wire: Box<Wire>, response: Response<Incoming>) -> Response<Body> {
        let (mut parts, incoming) = response.into_parts();
        parts.version = Version::HTTP_11;
        let protocol = headers::strip_hop_by_hop(&mut parts.headers);
        headers::via(&mut parts.headers);
        if replies::may_concern_others(&parts.headers) {
            let host = host_name(self.record.host.to_str().unwrap_or_default());
            replies::restrict_cookies(&mut parts.headers, host, &self.record.in_flight.shared.table.load());
        }
        if !headers::response_fits(&parts.headers) {
            return self.fail(Code::H25);
        }
        self.record.status = parts.status.as_u16();
        let idle = self.record.in_flight.shared.config.timeouts.idle;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(protocol), Some((requested, upgrade))) = (protocol, self.upgrade.take()) else {
                return self.fail(Code::H17);
            };
            if !headers::is_one_of(&protocol, &requested) {
                return self.fail(Code::H17);
            }
            headers::ask_upgrade(&mut parts.headers, protocol);
            self.record.upgraded = true;
            if let Some(lease) = &mut self.record.lease {
                lease.become_tunnel();
            }
            let tunnel = Tunnel {
                client: upgrade,
                wire,
                idle: Some(idle),
                shared: self.record.in_flight.shared.clone(),
                holding: Holding::App(self.record),
            };
            return Response::from_parts(parts, tunnel.start());
        }
        let relay = Relay {
            incoming,
            joined: Joined::default(),
            frames: 0,
            wire: Some(wire),
            upload: self.record.upload.clone(),
            idle,
            streams: false,
            last: Instant::now(),
            broken: false,
            holding: Some(Holding::App(self.record)),
        };
        Response::from_parts(parts, relay.into_body().await)
    }

    /// Responds with the page of `code`.
    fn fail(mut self: Box<Self>, code: Code) -> Response<Body> {
        self.record.finish(Some(code));
        let page = match code {
            Code::H81 => Page::blank(&self.record.app.name, &self.remote()),
            Code::H28 => Page::of(code, &self.record.app.name).with_status(StatusCode::REQUEST_TIMEOUT),
            _ => Page::of(code, &self.record.app.name),
        };
        self.show(page)
    }

    /// Responds to a request that must not go to any dyno.
    fn refuse(mut self: Box<Self>, code: Code, status: StatusCode) -> Response<Body> {
        self.record.finish_with(code, status.as_u16());
        let page = Page::of(code, &self.record.app.name).with_status(status).last();
        self.show(page)
    }

    fn show(self, page: Page) -> Response<Body> {
        page.with_request_id(&self.record.request_id)
            .respond(self.accept.as_ref())
            .map(|data: Bytes| Body::Page(Some(data), Holding::App(self.record)))
    }

    /// The git remote of the app, with the port that the visitor used.
    fn remote(&self) -> String {
        let shared = &self.record.in_flight.shared;
        let host = self.record.host.to_str().unwrap_or_default();
        let port = host
            .rsplit_once(':')
            .filter(|(name, _)| host_name(host).starts_with(name.trim_end_matches('.')))
            .map_or(String::new(), |(_, port)| format!(":{port}"));
        format!(
            "{}://{}{port}/{}.git",
            self.record.in_flight.origin.scheme(),
            shared.table.load().domain,
            self.record.app.name
        )
    }
}

/// Whether connecting failed because of a resource on our side.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL)
    )
}

fn code_of(failure: Failure) -> Code {
    match failure {
        Failure::Closed => Code::H13,
        Failure::TimedOut => Code::H12,
        Failure::ClientIdle => Code::H28,
        Failure::ClientGone => Code::H27,
        Failure::Malformed => Code::H17,
        Failure::TooLarge => Code::H25,
        Failure::Internal(error) => {
            tracing::error!(%error, "could not send a request to a dyno");
            Code::H99
        }
    }
}
