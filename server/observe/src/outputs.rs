//! Outputs of builds and release phases, streamed to whoever has the address.

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{Error, Result, places::Place, secrets::Bearer, web};
use futures::{Stream, StreamExt as _};
use identity::{Can, payers, watch::Watch};
use platform::{
    Platform,
    outputs::{Output, follow},
};
use uuid::Uuid;

use crate::log_sessions::held;

/// `GET /streams/builds/{secret}`
pub async fn build_output(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (bearer, id) = platform.secrets().signed_for("build output", &secret).ok_or_else(no_stream)?;
    let build = store::builds::build_info(platform.db(), id).await?.ok_or_else(no_stream)?;
    let watch = watch(&platform, bearer, build.app_id).await?;
    let place = platform.streams().take_now(payers::of_account(&platform, bearer.account).await?)?;
    Ok(stream(platform, Output::of_build(build.app_id, id), (place, watch), &headers))
}

/// `GET /streams/releases/{secret}`
pub async fn release_output(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (bearer, id) = platform.secrets().signed_for("release output", &secret).ok_or_else(no_stream)?;
    let release = store::releases::release_info(platform.db(), id).await?.ok_or_else(no_stream)?;
    let watch = watch(&platform, bearer, release.app_id).await?;
    let place = platform.streams().take_now(payers::of_account(&platform, bearer.account).await?)?;
    Ok(stream(platform, Output::of_release(release.app_id, id), (place, watch), &headers))
}

async fn watch(platform: &Platform, bearer: Bearer, app: Uuid) -> Result<Watch> {
    let watch = Watch::begin(platform, bearer.account, Some(bearer.credential), app, Can::Logs).await?;
    watch.ok_or_else(no_stream)
}

fn no_stream() -> Error {
    Error::not_found("stream", "Couldn't find that stream.")
}

/// Plain text from the byte that `Range` names, or events when the client asks for them.
fn stream(platform: Platform, output: Output, (place, watch): (Place, Watch), headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text("accept").is_some_and(|a| a.contains("text/event-stream")) {
        let from = text("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(0);
        return events(follow(platform, output, from).take_until(held(place, watch)), from);
    }
    let from = text("range").and_then(|r| r.strip_prefix("bytes=")?.split('-').next()?.parse().ok()).unwrap_or(0);
    let status = if from > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    let content = follow(platform, output, from).take_until(held(place, watch));
    (status, headers, Body::from_stream(content)).into_response()
}

/// One event for each line; its id is the place in the file after it.
fn events(content: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static, from: u64) -> Response {
    let mut rest = Vec::new();
    let mut at = from;
    let lines = content.map(move |chunk| {
        rest.extend_from_slice(&chunk?);
        let mut out = String::new();
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            at += line.len() as u64;
            let line = String::from_utf8_lossy(&line);
            out.push_str(&web::event(at, line.trim_end_matches(['\n', '\r'])));
        }
        Ok::<_, std::io::Error>(Bytes::from(out))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(lines)).into_response()
}
