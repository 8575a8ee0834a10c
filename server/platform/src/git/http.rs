//! Smart HTTP, the protocol of `git clone`, `fetch` and `push`. See git's `http-protocol` document.

use std::{fs::File, os::unix::net::UnixStream};

use anyhow::Context as _;
use axum::{
    body::Body,
    extract::{FromRequestParts as _, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base::{Error, Result, places::SharedPlace};
use identity::{Actor, App, Can};
use serde::Deserialize;
use uuid::Uuid;
use worker::{Limits, Lines, Order, Program, Work};

use super::{
    answer::{Heard, Seat, Served, Told, clone_refused, push_refused},
    body::{Bounds, Incoming, Refusal},
    handle::{Repositories, Writing},
    hook, housekeeping, limits, plumbing,
    push::{self, Held},
    repositories::ensure,
    room::{Room, must_have_room},
};
use crate::Platform;

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
    async fn seat(&self, platform: &Platform) -> Result<Seat> {
        let place = platform.git().places().take_now(self.actor.payer)?;
        let watch = self.actor.watch(self.app.id, Can::Deploy).await?;
        Ok(Seat { place: SharedPlace::new(place), lost: watch.into_lost() })
    }
}

/// git shows plain text.
fn plain(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain")], text + "\n").into_response()
}

/// Authenticates the client. git sends a password only after a 401.
async fn ask(platform: &Platform, parts: &mut Parts, repository: &str) -> std::result::Result<Guest, Response> {
    let Some(name) = repository.strip_suffix(".git") else {
        return Err(Error::not_found("route", "The requested page was not found.").into_response());
    };
    let actor = match Actor::from_request_parts(parts, platform).await {
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
    State(platform): State<Platform>,
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
    let guest = match ask(&platform, &mut parts, &repository).await {
        Ok(guest) => guest,
        Err(response) => return Ok(response),
    };
    if command == "receive-pack"
        && let Err(err) = must_have_room(&platform, guest.actor.payer, guest.app.id).await
    {
        return Ok(told(err));
    }
    let program = plumbing::git(&[command, "--stateless-rpc", "--advertise-refs", plumbing::REPOSITORY]);
    let order = order(&platform, guest.app.id, protocol(program, &parts.headers)).await?;
    let seat = match guest.seat(&platform).await {
        Ok(seat) => seat,
        Err(err) => return Ok(told(err)),
    };
    let served = start(&platform, &order, Lines::default(), None, seat)?;
    let line = format!("# service={service}\n");
    let head = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    Ok(answer(&format!("application/x-{service}-advertisement"), served.body(head)))
}

fn protocol(program: Program, headers: &HeaderMap) -> Program {
    let value = headers.get("git-protocol").and_then(|v| v.to_str().ok());
    // The value goes into an environment variable of git, which parses it.
    match value.filter(|v| v.len() < 100 && v.bytes().all(|b| b.is_ascii_alphanumeric() || b"=:.-".contains(&b))) {
        Some(value) => program.env("GIT_PROTOCOL", value),
        None => program,
    }
}

fn answer(kind: &str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

/// `POST /{repository}/git-upload-pack`: clone and fetch.
pub async fn upload_pack(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let guest = match ask(&platform, &mut parts, &repository).await {
        Ok(guest) => guest,
        Err(response) => return Ok(response),
    };
    let bounds =
        Bounds { bytes: limits::MOST_WANTS_BYTES, lines: usize::MAX, time: platform.config().git.time, is_push: false };
    let incoming = match Incoming::begin(body, &parts.headers, bounds).await {
        Ok(incoming) => incoming,
        Err(Refusal { why, .. }) => return Ok(answer(CLONED, clone_refused(&why))),
    };
    let seat = match guest.seat(&platform).await.map_err(words) {
        Ok(seat) => seat,
        Err(Ok(err)) => return Ok(answer(CLONED, clone_refused(&err.message))),
        Err(Err(response)) => return Ok(response),
    };
    let program = plumbing::git(&["upload-pack", "--stateless-rpc", plumbing::REPOSITORY]);
    let order = order(&platform, guest.app.id, protocol(program, &parts.headers)).await?;
    let (stdin, input) = worker::to_worker().map_err(anyhow::Error::new)?;
    let lines = Lines { stdin: Some(stdin), ..Lines::default() };
    let served = start(&platform, &order, lines, None, seat)?;
    feed(incoming, input, served.told.clone());
    Ok(answer(CLONED, served.body(Vec::new())))
}

/// `POST /{repository}/git-receive-pack`: push.
pub async fn receive_pack(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let guest = match ask(&platform, &mut parts, &repository).await {
        Ok(guest) => guest,
        Err(response) => return Ok(response),
    };
    let time = platform.config().git.time;
    let bounds = Bounds { bytes: u64::MAX, lines: limits::MOST_REFS, time, is_push: true };
    let incoming = match Incoming::begin(body, &parts.headers, bounds).await {
        Ok(incoming) => incoming,
        Err(refusal) => return Ok(answer(PUSHED, push_refused(&refusal))),
    };
    let held =
        async { Ok((guest.seat(&platform).await?, Room::take(&platform, guest.actor.payer, guest.app.id).await?)) };
    let (seat, room) = match held.await.map_err(words) {
        Ok(held) => held,
        Err(Ok(api::Error { message: why, .. })) => {
            return Ok(answer(PUSHED, push_refused(&Refusal { why, refs: incoming.refs() })));
        }
        Err(Err(response)) => return Ok(response),
    };
    let Guest { actor, app } = guest;
    let most = format!("receive.maxInputSize={}", room.limit());
    let incoming = incoming.within(room.clone());
    let program = plumbing::git(&["-c", &most, "receive-pack", "--stateless-rpc", plumbing::REPOSITORY]);
    let exe = format!("/proc/self/fd/{}", hook::EXECUTABLE);
    let program = protocol(program, &parts.headers).env("WHARF_EXE", exe);
    let mut order = order(&platform, app.id, program).await?;
    order.limits.time = limits::PUSH;
    let (line, lines, input) = push_lines()?;
    let watch = actor.watch(app.id, Can::Deploy).await?;
    let writing = Repositories::write(&platform, app.id).await?;
    let place = seat.place.clone();
    let served = start(&platform, &order, lines, Some(writing), seat)?;
    feed(incoming, input, served.told.clone());
    tokio::spawn(async move {
        // Without an answer the hook rejects the push, and its build is cancelled.
        tokio::select! {
            biased;
            () = watch.lost() => {}
            () = push::answer(platform.clone(), app.id, actor.asker(), line, Held { room, place }) => {}
        }
        if let Err(err) = housekeeping::pack(&platform, app.id).await {
            tracing::warn!(app.id = %app.id, "could not pack a repository: {err:#}");
        }
    });
    Ok(answer(PUSHED, served.body(Vec::new())))
}

/// Our end of the line to the hook, what the worker is handed, and the end of git's input.
fn push_lines() -> anyhow::Result<(tokio::net::UnixStream, Lines, tokio::net::unix::pipe::Sender)> {
    let (ours, theirs) = UnixStream::pair().context("create a socket for the hook")?;
    ours.set_nonblocking(true).context("create a socket for the hook")?;
    let ours = tokio::net::UnixStream::from_std(ours).context("create a socket for the hook")?;
    // By way of the process: the file may have been replaced by an upgrade since.
    let exe = File::open("/proc/self/exe").context("open our own executable")?;
    let (stdin, input) = worker::to_worker()?;
    let more = vec![theirs.into(), exe.into()];
    debug_assert_eq!((hook::LINE, hook::EXECUTABLE), (3, 4));
    Ok((ours, Lines { stdin: Some(stdin), more, ..Lines::default() }, input))
}

async fn order(platform: &Platform, app: Uuid, program: Program) -> Result<Order> {
    let repository = ensure(platform, app).await?;
    let order = plumbing::order(platform, &repository, Work::Program(program));
    let cpu = std::time::Duration::from_secs(900);
    let limits = Limits { time: platform.config().git.time, cpu, ..order.limits };
    Ok(Order { limits, ..order })
}

/// Starts git, whose output goes to the client. When the client goes away the answer is dropped,
/// and git is killed.
fn start(
    platform: &Platform,
    order: &Order,
    lines: Lines,
    writing: Option<Writing>,
    seat: Seat,
) -> anyhow::Result<Served> {
    let (output, stdout) = worker::from_worker()?;
    let worker = platform.git().workers().start(order, Lines { stdout: Some(stdout), ..lines })?;
    Ok(Served { worker, output, told: Told::default(), writing, seat, is_over: false })
}

/// Passes the request's body on to git, beside the answer.
fn feed(incoming: Incoming, input: tokio::net::unix::pipe::Sender, told: Told) {
    let hear = move |heard| {
        if let Ok(mut told) = told.lock() {
            *told = heard;
        }
    };
    hear(Heard { why: None, refs: incoming.refs() });
    tokio::spawn(async move {
        if let Err(Refusal { why, refs }) = incoming.feed(input).await {
            hear(Heard { why: Some(why), refs });
        }
    });
}
