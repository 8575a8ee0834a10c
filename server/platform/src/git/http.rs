//! Smart HTTP: what `git clone`, `fetch` and `push` speak. See git's `http-protocol` document.

use std::process::Stdio;

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::TryStreamExt as _;
use serde::Deserialize;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{ensure, git};
use crate::{
    Platform,
    actor::Actor,
    error::{Error, Result},
    rights::{App, Can},
};

/// Query of `info/refs`.
#[derive(Deserialize)]
pub struct Service {
    service: Option<String>,
}

/// Who asks, and for which app. git asks for a password only when it is told to by a 401.
async fn ask(
    platform: &Platform,
    parts: &mut Parts,
    repository: &str,
    can: Can,
) -> std::result::Result<(Actor, App), Response> {
    let Some(name) = repository.strip_suffix(".git") else {
        return Err(Error::not_found("route", "The requested page was not found.").into_response());
    };
    let actor = match Actor::from_request_parts(parts, platform).await {
        Ok(actor) => actor,
        Err(Error::Told(err)) if err.status == 401 => {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Wharf\", charset=\"UTF-8\"")];
            let text = "Invalid credentials provided. Use your API token as the password: `wharf login` sets git up.\n";
            return Err((StatusCode::UNAUTHORIZED, challenge, text).into_response());
        }
        Err(err) => return Err(err.into_response()),
    };
    match actor.app(name, can).await {
        Ok(app) => Ok((actor, app)),
        // Plain text: git shows it.
        Err(Error::Told(err)) if err.status == 404 => {
            let text = format!("No such app as {name}.\n");
            Err((StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain")], text).into_response())
        }
        Err(Error::Told(err)) if err.status == 403 => {
            Err((StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "text/plain")], err.message + "\n").into_response())
        }
        Err(err) => Err(err.into_response()),
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
    let can = match service.as_str() {
        // A clone is the code.
        "git-upload-pack" => Can::Deploy,
        "git-receive-pack" => Can::Deploy,
        _ => return Err(Error::forbidden("This server speaks git's smart protocol only. Use git 1.6.6 or newer.")),
    };
    let (_, app) = match ask(&platform, &mut parts, &repository, can).await {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let folder = ensure(&platform, app.id).await?;
    let mut command = git(&platform.config().data);
    protocol(&mut command, &parts.headers);
    command.args([service.trim_start_matches("git-"), "--stateless-rpc", "--advertise-refs"]).arg(&folder);
    let done = command.output().await?;
    let line = format!("# service={service}\n");
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    body.extend_from_slice(&done.stdout);
    Ok(answer(&format!("application/x-{service}-advertisement"), Body::from(body)))
}

fn protocol(command: &mut Command, headers: &HeaderMap) {
    let value = headers.get("git-protocol").and_then(|v| v.to_str().ok());
    // The value goes into an environment variable of git, which parses it.
    if let Some(value) = value.filter(|v| v.bytes().all(|b| b.is_ascii_alphanumeric() || b"=:.-".contains(&b))) {
        command.env("GIT_PROTOCOL", value);
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
    let (_, app) = match ask(&platform, &mut parts, &repository, Can::Deploy).await {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let folder = ensure(&platform, app.id).await?;
    let mut command = git(&platform.config().data);
    protocol(&mut command, &parts.headers);
    command.args(["upload-pack", "--stateless-rpc"]).arg(&folder);
    pipe(command, &parts.headers, body, "application/x-git-upload-pack-result")
}

/// `POST /{repository}/git-receive-pack`: push.
pub async fn receive_pack(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let (actor, app) = match ask(&platform, &mut parts, &repository, Can::Deploy).await {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let folder = ensure(&platform, app.id).await?;
    // By way of the process: the file may have been replaced by an upgrade since.
    let exe = format!("/proc/{}/exe", std::process::id());
    let pass = platform.secrets().sign("push", app.id);
    let mut command = git(&platform.config().data);
    protocol(&mut command, &parts.headers);
    command
        .env("WHARF_EXE", exe)
        .env("WHARF_SOCKET", platform.config().run.join("server.sock"))
        .env("WHARF_PUSH", pass)
        .env("WHARF_PUSH_ACCOUNT", actor.account.id.to_string())
        .env("WHARF_PUSH_BASE", &actor.base)
        .args(["receive-pack", "--stateless-rpc"])
        .arg(&folder);
    pipe(command, &parts.headers, body, "application/x-git-receive-pack-result")
}

/// Connects the request's body to git's input and git's output to the answer. When the client goes
/// away the answer is dropped, and git with it.
fn pipe(mut command: Command, headers: &HeaderMap, body: Body, kind: &str) -> Result<Response> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(anyhow::anyhow!("git has no pipes").into());
    };
    let packed = headers.get(header::CONTENT_ENCODING).is_some_and(|e| e == "gzip" || e == "x-gzip");
    let content = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    tokio::spawn(async move {
        let copied = if packed {
            let mut plain = async_compression::tokio::bufread::GzipDecoder::new(tokio::io::BufReader::new(content));
            tokio::io::copy(&mut plain, &mut input).await
        } else {
            let mut content = content;
            tokio::io::copy(&mut content, &mut input).await
        };
        if copied.is_ok() {
            let _ = input.shutdown().await;
        }
    });
    let output = ReaderStream::new(output);
    let held = Held(child);
    let body = Body::from_stream(output.inspect_ok(move |_| {
        let _ = &held;
    }));
    Ok(answer(kind, body))
}

/// Keeps git alive as long as its output is read; `kill_on_drop` ends it when that is dropped.
struct Held(#[allow(dead_code, reason = "held for its drop")] Child);
