//! Smart HTTP, the protocol of `git clone`, `fetch` and `push`. See git's `http-protocol` document.

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base::{Error, Result, slots::SharedSlot};
use futures::TryStreamExt as _;
use identity::{Actor, App, Can};
use repositories::{
    Bounds, ClientSlot, GitLimits, GitProcess, Incoming, Refusal, SpaceLimit as _, clone_refused, push_refused,
};
use serde::Deserialize;

use super::{
    pack,
    push::{self, Held},
    reservation::{Reservation, must_have_space},
    unless_destroyed,
};
use crate::Builds;

/// Query of `info/refs`.
#[derive(Deserialize)]
pub struct Service {
    service: Option<String>,
}

/// The content types of the responses to a push and to a clone.
const PUSHED: &str = "application/x-git-receive-pack-result";
const CLONED: &str = "application/x-git-upload-pack-result";

/// The caller and the app.
struct Guest {
    actor: Actor,
    app: App,
}

impl Guest {
    /// A slot for the client. Taken last, after the client has sent everything that git needs to start.
    async fn client_slot(&self, builds: &Builds) -> Result<(ClientSlot, SharedSlot)> {
        let slot = SharedSlot::new(builds.git().slots().try_take(self.actor.payer)?);
        let watch = self.actor.watch(self.app.id, Can::Deploy).await?;
        let held = slot.clone();
        Ok((ClientSlot { release: Box::new(move || held.release()), lost: Box::pin(watch.lost()) }, slot))
    }
}

/// A plain-text response, which git shows.
fn plain(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain")], text + "\n").into_response()
}

/// Authenticates the client. git sends a password only after a 401.
async fn ask(builds: &Builds, parts: &mut Parts, repository: &str) -> std::result::Result<Guest, Response> {
    let Some(name) = repository.strip_suffix(".git") else {
        return Err(Error::not_found("route", "The requested page was not found.").into_response());
    };
    let actor = match Actor::from_request_parts(parts, builds).await {
        Ok(actor) => actor,
        Err(Error::Public(err)) if err.status == 401 => {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Wharf\", charset=\"UTF-8\"")];
            let text =
                "Invalid credentials provided. Use your API token as the password; `wharf login` configures git.\n";
            return Err((StatusCode::UNAUTHORIZED, challenge, text).into_response());
        }
        Err(err) => return Err(err.into_response()),
    };
    // A clone contains the code, so it requires the same right as a push.
    let app = match actor.app(name, Can::Deploy).await {
        Ok(app) => app,
        Err(Error::Public(err)) if err.status == 404 => {
            return Err(plain(StatusCode::NOT_FOUND, format!("No such app as {name}.")));
        }
        Err(err) => return Err(error_response(err)),
    };
    Ok(Guest { actor, app })
}

/// The message for the user, if there is one.
fn words(err: Error) -> std::result::Result<api::Error, Response> {
    match err {
        Error::Public(err) if [403, 413, 422, 429, 503].contains(&err.status) => Ok(err),
        err => Err(err.into_response()),
    }
}

/// A plain-text response; git shows the text of a response to its first request.
fn error_response(err: Error) -> Response {
    match words(err) {
        Ok(err) => plain(StatusCode::from_u16(err.status).unwrap_or(StatusCode::FORBIDDEN), err.message),
        Err(response) => response,
    }
}

/// `GET /{repository}/info/refs?service=…`
pub async fn info_refs(
    State(builds): State<Builds>,
    Path(repository): Path<String>,
    Query(query): Query<Service>,
    request: Request,
) -> Result<Response> {
    let (mut parts, _) = request.into_parts();
    let service = query.service.unwrap_or_default();
    let command = match service.as_str() {
        "git-upload-pack" => "upload-pack",
        "git-receive-pack" => "receive-pack",
        _ => return Err(Error::forbidden("This server supports only git's smart protocol. Use git 1.6.6 or newer.")),
    };
    let guest = match ask(&builds, &mut parts, &repository).await {
        Ok(guest) => guest,
        Err(response) => return Ok(response),
    };
    // First, because the rest measures the repository and starts git.
    let client_slot = match guest.client_slot(&builds).await {
        Ok((client_slot, _)) => client_slot,
        Err(err) => return Ok(error_response(err)),
    };
    if command == "receive-pack"
        && let Err(err) = must_have_space(&builds, guest.actor.payer, guest.app.id).await
    {
        return Ok(error_response(err));
    }
    let process = builds.git().advertise(guest.app.id, command, protocol(&parts.headers), client_slot).await;
    let process = unless_destroyed(&builds, guest.app.id, process.map_err(Error::Internal)).await?;
    let line = format!("# service={service}\n");
    let head = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    Ok(answer(&format!("application/x-{service}-advertisement"), Body::from_stream(process.body(head))))
}

/// The version of git's protocol that the client requests.
fn protocol(headers: &HeaderMap) -> Option<&str> {
    headers.get("git-protocol").and_then(|v| v.to_str().ok())
}

/// The kind of transfer that follows the refs.
#[derive(Clone, Copy)]
enum Transfer {
    Clone,
    Push,
}

impl Transfer {
    fn bounds(self, limits: &GitLimits) -> Bounds {
        match self {
            Self::Clone => Bounds::of_clone(limits),
            Self::Push => Bounds::of_push(limits),
        }
    }

    /// The response of git.
    fn answer(self, body: Body) -> Response {
        match self {
            Self::Clone => answer(CLONED, body),
            Self::Push => answer(PUSHED, body),
        }
    }

    /// The response to a request that is rejected before git runs.
    fn refused(self, refusal: &Refusal) -> Response {
        self.answer(match self {
            Self::Clone => clone_refused(&refusal.why).into(),
            Self::Push => push_refused(refusal).into(),
        })
    }

    /// Like [`Transfer::refused`], for errors that are shown to the user; other errors are not sent in git's protocol.
    fn failed(self, err: Error, refs: Vec<Vec<u8>>) -> Response {
        match words(err) {
            Ok(err) => self.refused(&Refusal { why: err.message, refs }),
            Err(response) => response,
        }
    }
}

/// A clone or push for which git can start.
struct Begun {
    guest: Guest,
    headers: HeaderMap,
    incoming: Incoming,
}

/// Authenticates the client, and reads what it has to send before git starts. The error is the response.
async fn begin(
    builds: &Builds,
    repository: &str,
    request: Request,
    transfer: Transfer,
) -> std::result::Result<Begun, Response> {
    let (mut parts, body) = request.into_parts();
    let guest = ask(builds, &mut parts, repository).await?;
    let headers = parts.headers;
    let is_packed = headers.get(header::CONTENT_ENCODING).is_some_and(|e| e == "gzip" || e == "x-gzip");
    let body = body.into_data_stream().map_err(std::io::Error::other);
    let incoming = Incoming::begin(body, is_packed, transfer.bounds(builds.git().limits())).await;
    let incoming = incoming.map_err(|refusal| transfer.refused(&refusal))?;
    Ok(Begun { guest, headers, incoming })
}

/// What to tell a client that uses a former name of the app.
fn renamed(repository: &str, app: &App, url: &str) -> Vec<String> {
    let name = repository.trim_end_matches(".git");
    if name == app.name || name.parse::<api::ids::AppId>().is_ok() {
        return Vec::new();
    }
    vec![
        format!(" !     {name} was renamed to {}. This URL works for 30 days after that.", app.name),
        format!(" !     The new one: git remote set-url REMOTE {url}"),
    ]
}

fn body_of(process: GitProcess) -> Body {
    Body::from_stream(process.body(Vec::new()))
}

fn answer(kind: &str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

/// `POST /{repository}/git-upload-pack`: clone and fetch.
pub async fn upload_pack(
    State(builds): State<Builds>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response> {
    let transfer = Transfer::Clone;
    let Begun { guest, headers, incoming } = match begin(&builds, &repository, request, transfer).await {
        Ok(begun) => begun,
        Err(response) => return Ok(response),
    };
    let client_slot = match guest.client_slot(&builds).await {
        Ok((client_slot, _)) => client_slot,
        Err(err) => return Ok(transfer.failed(err, Vec::new())),
    };
    let process = builds.git().upload_pack(guest.app.id, incoming, protocol(&headers), client_slot).await;
    let process = unless_destroyed(&builds, guest.app.id, process.map_err(Error::Internal)).await?;
    Ok(transfer.answer(body_of(process)))
}

/// `POST /{repository}/git-receive-pack`: push.
pub async fn receive_pack(
    State(builds): State<Builds>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response> {
    let transfer = Transfer::Push;
    let Begun { guest, headers, incoming } = match begin(&builds, &repository, request, transfer).await {
        Ok(begun) => begun,
        Err(response) => return Ok(response),
    };
    let held = async {
        let client_slot = guest.client_slot(&builds).await?;
        Ok::<_, Error>((client_slot, Reservation::take(&builds, guest.actor.payer, guest.app.id).await?))
    };
    let ((client_slot, slot), reservation) = match held.await {
        Ok(held) => held,
        Err(err) => return Ok(transfer.failed(err, incoming.refs())),
    };
    let Guest { actor, app } = guest;
    let notes = renamed(&repository, &app, &actor.links().repository(&app.name));
    let watch = actor.watch(app.id, Can::Deploy).await?;
    let incoming = (incoming.within(reservation.clone()), reservation.limit());
    let process = builds.git().receive_pack(app.id, incoming, protocol(&headers), client_slot).await;
    let (process, line) = unless_destroyed(&builds, app.id, process.map_err(Error::Internal)).await?;
    tokio::spawn(async move {
        push::answer(builds.clone(), app.id, actor.originator(), line, Held { reservation, slot, notes }, watch.lost())
            .await;
        if let Err(err) = pack(&builds, app.id).await {
            tracing::warn!(app.id = %app.id, "could not pack a repository: {err:#}");
        }
    });
    Ok(transfer.answer(body_of(process)))
}
