//! Smart HTTP, the protocol of `git clone`, `fetch` and `push`. See git's `http-protocol` document.

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base::{Error, Result, places::SharedPlace};
use futures::TryStreamExt as _;
use identity::{Actor, App, Can};
use repositories::{Bounds, Incoming, Refusal, Room as _, Seat, Served, clone_refused, push_refused};
use serde::Deserialize;

use super::{
    push::{self, Held},
    room::{Room, must_have_room},
    unless_destroyed,
};
use crate::Builds;

/// Query of `info/refs`.
#[derive(Deserialize)]
pub struct Service {
    service: Option<String>,
}

/// The answers to a push and to a clone.
const PUSHED: &str = "application/x-git-receive-pack-result";
const CLONED: &str = "application/x-git-upload-pack-result";

/// The caller and the app.
struct Guest {
    actor: Actor,
    app: App,
}

impl Guest {
    /// A place for them. Taken last: when all that they have to say before git can begin has been said.
    async fn seat(&self, builds: &Builds) -> Result<(Seat, SharedPlace)> {
        let place = SharedPlace::new(builds.git().places().take_now(self.actor.payer)?);
        let watch = self.actor.watch(self.app.id, Can::Deploy).await?;
        let held = place.clone();
        Ok((Seat { give_back: Box::new(move || held.give_back()), lost: watch.into_lost() }, place))
    }
}

/// git shows plain text.
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
    // A clone is the code, so that it takes the same right as a push.
    let app = match actor.app(name, Can::Deploy).await {
        Ok(app) => app,
        Err(Error::Public(err)) if err.status == 404 => {
            return Err(plain(StatusCode::NOT_FOUND, format!("No such app as {name}.")));
        }
        Err(err) => return Err(told(err)),
    };
    Ok(Guest { actor, app })
}

/// The message for people, if there is one.
fn words(err: Error) -> std::result::Result<api::Error, Response> {
    match err {
        Error::Public(err) if [403, 413, 422, 429, 503].contains(&err.status) => Ok(err),
        err => Err(err.into_response()),
    }
}

/// In plain text, which git shows of the answer to its first question.
fn told(err: Error) -> Response {
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
    // First of all: what follows measures the repository, and starts a git.
    let seat = match guest.seat(&builds).await {
        Ok((seat, _)) => seat,
        Err(err) => return Ok(told(err)),
    };
    if command == "receive-pack"
        && let Err(err) = must_have_room(&builds, guest.actor.payer, guest.app.id).await
    {
        return Ok(told(err));
    }
    let served = builds.git().advertise(guest.app.id, command, protocol(&parts.headers), seat).await;
    let served = unless_destroyed(&builds, guest.app.id, served.map_err(Error::Internal)).await?;
    let line = format!("# service={service}\n");
    let head = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    Ok(answer(&format!("application/x-{service}-advertisement"), Body::from_stream(served.body(head))))
}

/// The version of git's protocol that a client asks for.
fn protocol(headers: &HeaderMap) -> Option<&str> {
    headers.get("git-protocol").and_then(|v| v.to_str().ok())
}

/// What a client has to say before git begins.
async fn incoming(headers: &HeaderMap, body: Body, bounds: Bounds) -> std::result::Result<Incoming, Refusal> {
    let is_packed = headers.get(header::CONTENT_ENCODING).is_some_and(|e| e == "gzip" || e == "x-gzip");
    Incoming::begin(body.into_data_stream().map_err(std::io::Error::other), is_packed, bounds).await
}

fn body_of(served: Served) -> Body {
    Body::from_stream(served.body(Vec::new()))
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
    let (mut parts, body) = request.into_parts();
    let guest = match ask(&builds, &mut parts, &repository).await {
        Ok(guest) => guest,
        Err(response) => return Ok(response),
    };
    let bounds = Bounds::of_clone(builds.git().limits());
    let incoming = match incoming(&parts.headers, body, bounds).await {
        Ok(incoming) => incoming,
        Err(Refusal { why, .. }) => return Ok(answer(CLONED, clone_refused(&why).into())),
    };
    let seat = match guest.seat(&builds).await.map_err(words) {
        Ok((seat, _)) => seat,
        Err(Ok(err)) => return Ok(answer(CLONED, clone_refused(&err.message).into())),
        Err(Err(response)) => return Ok(response),
    };
    let served = builds.git().upload_pack(guest.app.id, incoming, protocol(&parts.headers), seat).await;
    let served = unless_destroyed(&builds, guest.app.id, served.map_err(Error::Internal)).await?;
    Ok(answer(CLONED, body_of(served)))
}

/// `POST /{repository}/git-receive-pack`: push.
pub async fn receive_pack(
    State(builds): State<Builds>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let guest = match ask(&builds, &mut parts, &repository).await {
        Ok(guest) => guest,
        Err(response) => return Ok(response),
    };
    let bounds = Bounds::of_push(builds.git().limits());
    let incoming = match incoming(&parts.headers, body, bounds).await {
        Ok(incoming) => incoming,
        Err(refusal) => return Ok(answer(PUSHED, push_refused(&refusal).into())),
    };
    let held = async { Ok((guest.seat(&builds).await?, Room::take(&builds, guest.actor.payer, guest.app.id).await?)) };
    let ((seat, place), room) = match held.await.map_err(words) {
        Ok(held) => held,
        Err(Ok(api::Error { message: why, .. })) => {
            return Ok(answer(PUSHED, push_refused(&Refusal { why, refs: incoming.refs() }).into()));
        }
        Err(Err(response)) => return Ok(response),
    };
    let Guest { actor, app } = guest;
    let watch = actor.watch(app.id, Can::Deploy).await?;
    let incoming = (incoming.within(room.clone()), room.limit());
    let served = builds.git().receive_pack(app.id, incoming, protocol(&parts.headers), seat).await;
    let (served, line) = unless_destroyed(&builds, app.id, served.map_err(Error::Internal)).await?;
    tokio::spawn(async move {
        push::answer(builds.clone(), app.id, actor.asker(), line, Held { room, place }, watch.lost()).await;
        if let Err(err) = builds.git().pack(app.id).await {
            tracing::warn!(app.id = %app.id, "could not pack a repository: {err:#}");
        }
    });
    Ok(answer(PUSHED, body_of(served)))
}
