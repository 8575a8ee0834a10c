//! Outputs of builds and release phases: files that grow, and can be followed.

use std::{
    io::SeekFrom,
    path::PathBuf,
    time::{Duration, Instant},
};

use api::ids::{AppId, BuildId, ReleaseId};
use axum::body::Bytes;
use base::{
    Result,
    bus::{self, Changed},
    detached::detached,
};
use futures::Stream;
use spool::Pause;
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::broadcast,
};

use crate::Platform;

/// The size limit of the stored output of a build or a release phase, of all of its attempts together, in bytes.
pub const MOST_OUTPUT: u64 = 64 << 20;

/// The last line of an output that has reached its limit.
pub fn omitted(what: &str, most: u64) -> String {
    format!(" !     The {what} printed more than {} MB. The rest is omitted.", most >> 20)
}

/// The line in the app's log where such an output was truncated. The end of the output follows, since it may explain a
/// failure.
pub(crate) fn mostly_omitted(what: &str) -> String {
    format!("The {what} printed more than {} MB. Most of the rest is omitted.", MOST_OUTPUT >> 20)
}

/// The directory of the outputs of all apps, with one folder per app.
pub(crate) fn folder(platform: &Platform) -> PathBuf {
    platform.config().data.join("builds")
}

/// The source of an output file in the folder of an app.
pub(crate) fn whose(name: &str) -> Option<Of> {
    let name = name.strip_suffix(".log")?;
    match name.strip_prefix("release-") {
        Some(release) => release.parse().ok().map(Of::Release),
        None => name.parse().ok().map(Of::Build),
    }
}

/// The file with the output of a build.
pub fn build_file(platform: &Platform, app: AppId, build: BuildId) -> PathBuf {
    folder(platform).join(app.to_string()).join(format!("{build}.log"))
}

/// The file with the output of a release phase.
pub(crate) fn release_file(platform: &Platform, app: AppId, release: ReleaseId) -> PathBuf {
    folder(platform).join(app.to_string()).join(format!("release-{release}.log"))
}

/// An output and its app.
#[derive(Clone, Copy)]
pub struct Output {
    app: AppId,
    of: Of,
}

/// The source of an output.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Build(BuildId),
    Release(ReleaseId),
}

impl Of {
    /// The file with the output.
    pub(crate) fn file(self, platform: &Platform, app: AppId) -> PathBuf {
        match self {
            Self::Build(id) => build_file(platform, app, id),
            Self::Release(id) => release_file(platform, app, id),
        }
    }
}

impl Output {
    /// The output of a build.
    pub fn of_build(app: AppId, build: BuildId) -> Self {
        Self { app, of: Of::Build(build) }
    }

    /// The output of a release phase.
    pub fn of_release(app: AppId, release: ReleaseId) -> Self {
        Self { app, of: Of::Release(release) }
    }

    fn file(self, platform: &Platform) -> PathBuf {
        self.of.file(platform, self.app)
    }

    /// Whether the output is complete. That of a deleted row counts as complete.
    async fn has_ended(self, platform: &Platform) -> Result<bool> {
        let is_pending = match self.of {
            Of::Build(id) => store::builds::build_status(platform.db(), id).await?.is_some_and(|s| s.is_pending()),
            Of::Release(id) => {
                store::releases::release_status(platform.db(), id).await?.is_some_and(|s| s.is_pending())
            }
        };
        Ok(!is_pending)
    }
}

/// The bytes of an output from `from` on, as they arrive, until it is complete.
pub fn follow(
    platform: Platform,
    output: Output,
    from: u64,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (file, changes) = (output.file(&platform), platform.changes());
    let (is_due, asked, pause) = (true, Instant::now(), Pause::between(SHORTEST_PAUSE, LONGEST_PAUSE));
    // The system does not support larger offsets.
    let at = from.min(i64::MAX.unsigned_abs());
    let start = Follow { platform, file, output, changes, is_due, asked, at, pause, ended: false };
    futures::stream::unfold(start, |mut follow| async move { follow.next().await.map(|item| (item, follow)) })
}

/// How long to wait before a file is read again.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// How often the database is queried for the end of an output if no change is published: a server that is killed cannot
/// publish one.
const ASK: Duration = Duration::from_secs(15);

struct Follow {
    platform: Platform,
    file: PathBuf,
    output: Output,
    changes: broadcast::Receiver<Changed>,
    /// Whether the app has changed since the database was queried for the end of the output.
    is_due: bool,
    asked: Instant,
    at: u64,
    pause: Pause,
    ended: bool,
}

impl Follow {
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        loop {
            match self.read().await {
                Ok(Some(bytes)) => {
                    self.pause.reset();
                    return Some(Ok(bytes));
                }
                Ok(None) if self.ended => return None,
                Ok(None) => {}
                Err(err) => return Some(Err(err)),
            }
            // Output may have been written just before the end was recorded, so the file is read once more.
            match self.has_ended().await {
                Ok(true) => self.ended = true,
                Ok(false) => self.wait().await,
                Err(err) => return Some(Err(std::io::Error::other(err.to_string()))),
            }
        }
    }

    /// Queries the database only when the app has changed, or after a while.
    async fn has_ended(&mut self) -> Result<bool> {
        if !self.is_due && self.asked.elapsed() < ASK {
            return Ok(false);
        }
        (self.is_due, self.asked) = (false, Instant::now());
        let (output, platform) = (self.output, self.platform.clone());
        detached(async move { output.has_ended(&platform).await }).await?
    }

    /// Waits until the file may have grown, or the app has changed.
    async fn wait(&mut self) {
        let changed = bus::concerning(&mut self.changes, Some(self.output.app));
        self.is_due = tokio::time::timeout(self.pause.take(), changed).await.is_ok();
    }

    async fn read(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut file = match tokio::fs::File::open(&self.file).await {
            Ok(file) => file,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let mut buffer = vec![0; 64 << 10];
        let read = async {
            file.seek(SeekFrom::Start(self.at)).await?;
            file.read(&mut buffer).await
        };
        let n = match read.await {
            Ok(n) => n,
            // A client can request any offset, including one beyond the maximum file size of this file system.
            Err(err) if err.kind() == std::io::ErrorKind::InvalidInput => return Ok(None),
            Err(err) => return Err(err),
        };
        buffer.truncate(n);
        self.at += n as u64;
        Ok((n > 0).then(|| buffer.into()))
    }
}
