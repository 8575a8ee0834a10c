//! Outputs of builds and release phases, streamed to anyone with the URL.

use api::ids::{AppId, BuildId, ReleaseId};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{Error, Result, secrets::Bearer, slots::Slot, web};
use futures::{Stream, StreamExt as _};
use identity::{Can, signed_urls, watch::Watch};
use platform::{Platform, outputs, outputs::follow};

use crate::lines::{self, BATCH_BYTES};

/// `GET /streams/builds/{secret}`
pub async fn build_output(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (bearer, id) = platform.secrets().signed_for("build output", &secret).ok_or_else(no_stream)?;
    let _reading = signed_urls::begin(&platform, bearer.account).await?;
    let build = store::builds::build_info(platform.db(), BuildId(id)).await?.ok_or_else(no_stream)?;
    let watch = watch(&platform, bearer, build.app_id).await?;
    let slot = platform.stream_slot(bearer.account).await?;
    Ok(stream(platform, outputs::Output::of_build(build.app_id, build.id), (slot, watch), &headers))
}

/// `GET /streams/releases/{secret}`
pub async fn release_output(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (bearer, id) = platform.secrets().signed_for("release output", &secret).ok_or_else(no_stream)?;
    let _reading = signed_urls::begin(&platform, bearer.account).await?;
    let release = store::releases::release_info(platform.db(), ReleaseId(id)).await?.ok_or_else(no_stream)?;
    let watch = watch(&platform, bearer, release.app_id).await?;
    let slot = platform.stream_slot(bearer.account).await?;
    Ok(stream(platform, outputs::Output::of_release(release.app_id, release.id), (slot, watch), &headers))
}

async fn watch(platform: &Platform, bearer: Bearer, app: AppId) -> Result<Watch> {
    let watch = Watch::begin(platform, bearer.account, Some(bearer.credential), app, Can::Logs).await?;
    watch.ok_or_else(no_stream)
}

fn no_stream() -> Error {
    Error::not_found("stream", "Couldn't find that stream.")
}

/// Plain text from the first byte of `Range`, or events if the client requests them.
fn stream(platform: Platform, output: outputs::Output, (slot, watch): (Slot, Watch), headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text("accept").is_some_and(|a| a.contains("text/event-stream")) {
        let from = text("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(0);
        return events(follow(platform, output, from).take_until(watch.lost().holding(slot)), from);
    }
    let from = text("range").and_then(|r| r.strip_prefix("bytes=")?.split('-').next()?.parse().ok()).unwrap_or(0);
    let status = if from > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    let content = follow(platform, output, from).take_until(watch.lost().holding(slot));
    (status, headers, Body::from_stream(content)).into_response()
}

/// One event for each line; its id is the position in the file after it.
fn events(content: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static, from: u64) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(batches(content, from))).into_response()
}

/// The events of an output in batches, each created when it is polled.
fn batches(
    content: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    from: u64,
) -> impl Stream<Item = std::io::Result<String>> + Send + 'static {
    let start = (Box::pin(content), lines::of_output(from));
    futures::stream::try_unfold(start, |(mut content, mut output)| async move {
        loop {
            let mut batch = String::new();
            while batch.len() < BATCH_BYTES
                && let Some(line) = output.next()
            {
                web::write_event(&mut batch, output.at(), line.trim_end_matches('\r'));
            }
            if !batch.is_empty() {
                return Ok(Some((batch, (content, output))));
            }
            match content.next().await {
                Some(chunk) => output.push(&chunk?),
                None => return Ok(None),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_large_chunk_come_in_batches_that_are_not() {
        let chunk = Bytes::from("\n".repeat(64 << 10));
        let content = futures::stream::iter([Ok(chunk), Ok(Bytes::from_static(b"a\r\nb\rc\nd"))]);
        let batches = batches(content, 5).map(|batch| batch.unwrap()).collect::<Vec<_>>();
        let batches = futures::executor::block_on(batches);
        assert!(batches.len() > 10 && batches.iter().all(|batch| batch.len() < BATCH_BYTES + 100));
        let all = batches.concat();
        assert!(all.starts_with("id: 6\ndata: \n\nid: 7\ndata: \n\n"));
        assert!(
            all.ends_with("id: 65541\ndata: \n\nid: 65544\ndata: a\n\nid: 65548\ndata: b\ndata: c\n\n"),
            "{all:.200}"
        );
        assert_eq!(all.matches("id: ").count(), (64 << 10) + 2);
    }
}
