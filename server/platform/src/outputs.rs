//! Outputs of builds and release phases: files that grow, streamed to whoever has the address.

use std::{
    io::SeekFrom,
    path::{Path as FilePath, PathBuf},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use uuid::Uuid;

use crate::{
    Platform,
    error::{Error, Result},
    log_sessions::held,
    places::Place,
    rights::Can,
    secrets::Bearer,
    watch::Watch,
    web,
};

/// The file with the output of a build.
pub(crate) fn build_file(platform: &Platform, app: Uuid, build: Uuid) -> PathBuf {
    platform.config().data.join("builds").join(app.to_string()).join(format!("{build}.log"))
}

/// The file with the output of a release phase.
pub(crate) fn release_file(platform: &Platform, app: Uuid, release: Uuid) -> PathBuf {
    platform.config().data.join("builds").join(app.to_string()).join(format!("release-{release}.log"))
}

/// What an answer that is no stream holds of an output.
const MOST_AT_ONCE: u64 = 4 << 20;

/// The last of an output, however long it is; nothing when there is none.
pub(crate) async fn end_of(file: &FilePath) -> Vec<u8> {
    let read = async {
        let mut file = tokio::fs::File::open(file).await?;
        let length = file.metadata().await?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST_AT_ONCE))).await?;
        let mut text = Vec::new();
        file.take(MOST_AT_ONCE).read_to_end(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    read.await.unwrap_or_default()
}

/// Which output.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    Build(Uuid),
    Release(Uuid),
}

impl Output {
    /// Whether nothing more will come. An output whose row is gone has ended.
    async fn has_ended(self, platform: &Platform) -> Result<bool> {
        let pending = match self {
            Self::Build(id) => store::builds::build_status(platform.db(), id).await?,
            Self::Release(id) => store::releases::release_status(platform.db(), id).await?,
        };
        Ok(pending.as_deref() != Some("pending"))
    }
}

/// The bytes of an output from `from` on, as they come, until it has ended.
pub(crate) fn follow(
    platform: Platform,
    file: PathBuf,
    output: Output,
    from: u64,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let start = Follow { platform, file, output, at: from, ended: false };
    futures::stream::unfold(start, |mut follow| async move { follow.next().await.map(|item| (item, follow)) })
}

struct Follow {
    platform: Platform,
    file: PathBuf,
    output: Output,
    at: u64,
    ended: bool,
}

impl Follow {
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        loop {
            match self.read().await {
                Ok(Some(bytes)) => return Some(Ok(bytes)),
                Ok(None) if self.ended => return None,
                Ok(None) => {}
                Err(err) => return Some(Err(err)),
            }
            // What was written before the end was noted is read once more.
            match self.output.has_ended(&self.platform).await {
                Ok(true) => self.ended = true,
                Ok(false) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(err) => return Some(Err(std::io::Error::other(err.to_string()))),
            }
        }
    }

    async fn read(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut file = match tokio::fs::File::open(&self.file).await {
            Ok(file) => file,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        file.seek(SeekFrom::Start(self.at)).await?;
        let mut buffer = vec![0; 64 << 10];
        let n = file.read(&mut buffer).await?;
        buffer.truncate(n);
        self.at += n as u64;
        Ok((n > 0).then(|| buffer.into()))
    }
}

/// `GET /streams/builds/{secret}`
pub async fn build_output(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (bearer, id) = platform.secrets().signed_for("build output", &secret).ok_or_else(no_stream)?;
    let build = store::builds::build_info(platform.db(), id).await?.ok_or_else(no_stream)?;
    let file = build_file(&platform, build.app_id, id);
    let watch = watch(&platform, bearer, build.app_id).await?;
    let place = platform.streams().take_now(bearer.account)?;
    Ok(stream(platform, file, Output::Build(id), (place, watch), &headers))
}

/// `GET /streams/releases/{secret}`
pub async fn release_output(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (bearer, id) = platform.secrets().signed_for("release output", &secret).ok_or_else(no_stream)?;
    let release = store::releases::release_info(platform.db(), id).await?.ok_or_else(no_stream)?;
    let file = release_file(&platform, release.app_id, id);
    let watch = watch(&platform, bearer, release.app_id).await?;
    let place = platform.streams().take_now(bearer.account)?;
    Ok(stream(platform, file, Output::Release(id), (place, watch), &headers))
}

async fn watch(platform: &Platform, bearer: Bearer, app: Uuid) -> Result<Watch> {
    let watch = Watch::begin(platform, bearer.account, Some(bearer.credential), app, Can::Logs).await?;
    watch.ok_or_else(no_stream)
}

fn no_stream() -> Error {
    Error::not_found("stream", "Couldn't find that stream.")
}

/// Plain text from the byte that `Range` names, or events when the client asks for them.
fn stream(
    platform: Platform,
    file: PathBuf,
    output: Output,
    (place, watch): (Place, Watch),
    headers: &HeaderMap,
) -> Response {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text("accept").is_some_and(|a| a.contains("text/event-stream")) {
        let from = text("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(0);
        return events(follow(platform, file, output, from).take_until(held(place, watch)), from);
    }
    let from = text("range").and_then(|r| r.strip_prefix("bytes=")?.split('-').next()?.parse().ok()).unwrap_or(0);
    let status = if from > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    let content = follow(platform, file, output, from).take_until(held(place, watch));
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
