//! Outputs of builds and release phases: growing files, streamed to clients with a signed URL.

use std::{
    io::SeekFrom,
    path::{Path as FilePath, PathBuf},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{Error, Result, bus::Changed, places::Place, secrets::Bearer, web};
use futures::{Stream, StreamExt as _};
use identity::{Can, payers, watch::Watch};
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::broadcast,
};
use uuid::Uuid;

use crate::{Platform, log_sessions::held};

/// The file with the output of a build.
pub(crate) fn build_file(platform: &Platform, app: Uuid, build: Uuid) -> PathBuf {
    platform.config().data.join("builds").join(app.to_string()).join(format!("{build}.log"))
}

/// The file with the output of a release phase.
pub(crate) fn release_file(platform: &Platform, app: Uuid, release: Uuid) -> PathBuf {
    platform.config().data.join("builds").join(app.to_string()).join(format!("release-{release}.log"))
}

/// Size limit of an output in a response that is not streamed.
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

/// Which output, and of which app.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    app: Uuid,
    of: Of,
}

#[derive(Clone, Copy)]
enum Of {
    Build(Uuid),
    Release(Uuid),
}

impl Output {
    /// The output of a build.
    pub fn of_build(app: Uuid, build: Uuid) -> Self {
        Self { app, of: Of::Build(build) }
    }

    /// The output of a release phase.
    pub fn of_release(app: Uuid, release: Uuid) -> Self {
        Self { app, of: Of::Release(release) }
    }

    fn file(self, platform: &Platform) -> PathBuf {
        match self.of {
            Of::Build(id) => build_file(platform, self.app, id),
            Of::Release(id) => release_file(platform, self.app, id),
        }
    }

    /// Whether the output is complete. That of a deleted row is.
    async fn has_ended(self, platform: &Platform) -> Result<bool> {
        let pending = match self.of {
            Of::Build(id) => store::builds::build_status(platform.db(), id).await?,
            Of::Release(id) => store::releases::release_status(platform.db(), id).await?,
        };
        Ok(pending.as_deref() != Some("pending"))
    }
}

/// The bytes of an output from `from` on, as they come, until it has ended.
pub(crate) fn follow(
    platform: Platform,
    output: Output,
    from: u64,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (file, changes) = (output.file(&platform), platform.changes());
    let start = Follow { platform, file, output, changes, asked: None, at: from, ended: false };
    futures::stream::unfold(start, |mut follow| async move { follow.next().await.map(|item| (item, follow)) })
}

/// How often a file is looked at that somebody follows,
const LOOK: Duration = Duration::from_millis(100);
/// and how often the database is asked whether it has ended if no change is published: a server that is killed cannot
/// publish one.
const ASK: Duration = Duration::from_secs(15);

struct Follow {
    platform: Platform,
    file: PathBuf,
    output: Output,
    changes: broadcast::Receiver<Changed>,
    /// When it was asked last whether it has ended.
    asked: Option<Instant>,
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
            match self.has_ended().await {
                Ok(true) => self.ended = true,
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(err) => return Some(Err(std::io::Error::other(err.to_string()))),
            }
        }
    }

    /// Asks the database only when something about the app has changed, or after a while.
    async fn has_ended(&mut self) -> Result<bool> {
        let mut is_due = self.asked.is_none_or(|at| at.elapsed() >= ASK);
        loop {
            match self.changes.try_recv() {
                Ok(changed) => is_due |= changed.concerns(self.output.app),
                Err(broadcast::error::TryRecvError::Lagged(_)) => is_due = true,
                Err(_) => break,
            }
        }
        if !is_due {
            return Ok(false);
        }
        self.asked = Some(Instant::now());
        self.output.has_ended(&self.platform).await
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
