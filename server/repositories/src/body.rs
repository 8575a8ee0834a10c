//! A request's body, forwarded to git: decompressed, bounded, and with an idle timeout.

use std::{
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::pipe::Sender,
    time::timeout,
};
use tokio_util::io::StreamReader;

use crate::{
    commands::Commands,
    limits::{self, GitLimits},
};

/// Why a body was not forwarded completely, for the client.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Sentences.
    pub why: String,
    /// The refs of the push, as far as they were read.
    pub refs: Vec<Vec<u8>>,
}

/// The limits of a body.
pub struct Bounds {
    /// Bytes, after unpacking.
    bytes: u64,
    /// Lines before the first flush packet, which are the commands of a push.
    lines: usize,
    /// From the first byte to the last one.
    time: Duration,
    /// Whether more follows the first flush packet, which git reads as it arrives.
    is_push: bool,
}

impl Bounds {
    /// A request for a clone.
    pub fn of_clone(limits: &GitLimits) -> Self {
        Self { bytes: limits::MOST_WANTS_BYTES, lines: usize::MAX, time: limits.time, is_push: false }
    }

    /// A push. Its [`SpaceLimit`] limits its bytes.
    pub fn of_push(limits: &GitLimits) -> Self {
        Self { bytes: u64::MAX, lines: limits::MOST_REFS, time: limits.time, is_push: true }
    }
}

/// Limits the bytes of a push.
#[async_trait]
pub trait SpaceLimit: Send + Sync {
    /// The maximum.
    fn limit(&self) -> u64;

    /// Makes sure that there is space for `bytes` in total, or returns why there is none. May wait for space that
    /// others release.
    async fn grow(&self, bytes: u64) -> Result<(), String>;
}

/// A body that is being received.
pub struct Incoming {
    content: Pin<Box<dyn AsyncRead + Send>>,
    /// Bytes that were read but not forwarded.
    begun: Vec<u8>,
    /// Whether that is the entire body.
    is_whole: bool,
    left: u64,
    commands: Commands,
    time: Duration,
    /// For a push.
    room: Option<Box<dyn SpaceLimit>>,
}

impl Incoming {
    /// Reads what a client has to send before git can start: the wants of a clone, or the commands of a push; of very
    /// long ones, only the beginning. A client that takes longer than a minute for it is rejected, so that no slot is
    /// held by a silent client. `is_packed` says that the body is compressed with gzip.
    pub async fn begin(
        content: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        is_packed: bool,
        bounds: Bounds,
    ) -> Result<Self, Refusal> {
        let content = StreamReader::new(content);
        let content: Pin<Box<dyn AsyncRead + Send>> = match is_packed {
            true => Box::pin(async_compression::tokio::bufread::GzipDecoder::new(BufReader::new(content))),
            false => Box::pin(content),
        };
        let commands = Commands::new(bounds.lines);
        let (left, time) = (bounds.bytes, bounds.time);
        let mut incoming = Self { content, begun: Vec::new(), is_whole: false, left, commands, time, room: None };
        let beginning = incoming.read_beginning(bounds.is_push);
        let read = timeout(limits::SILENCE, beginning).await.unwrap_or_else(|_| Err(SILENT.to_owned()));
        match read {
            Ok(()) => Ok(incoming),
            Err(why) => Err(incoming.refuse(why).await),
        }
    }

    async fn read_beginning(&mut self, is_push: bool) -> Result<(), String> {
        let mut part = vec![0; 8 << 10];
        while self.begun.len() < limits::BEGINNING && !(is_push && self.commands.are_over()) {
            let read = self.content.read(&mut part).await.map_err(|_| CUT.to_owned())?;
            if read == 0 {
                self.is_whole = true;
                break;
            }
            self.count(&part[..read])?;
            self.begun.extend_from_slice(&part[..read]);
        }
        Ok(())
    }

    fn count(&mut self, part: &[u8]) -> Result<(), String> {
        self.left = self.left.checked_sub(part.len() as u64).ok_or("The request is too large.")?;
        self.commands.read(part);
        if self.commands.are_too_many() { Err(too_many_refs()) } else { Ok(()) }
    }

    /// Rejects the body, with all refs that the push wanted to change: git names each of them.
    async fn refuse(&mut self, why: String) -> Refusal {
        let read_on = async {
            let mut part = vec![0; 64 << 10];
            while self.commands.are_too_many() && !self.commands.are_over() && self.commands.are_worth_reading() {
                let Ok(read @ 1..) = self.content.read(&mut part).await else { return };
                self.commands.read(&part[..read]);
            }
        };
        let _ = timeout(limits::SILENCE, read_on).await;
        Refusal { why, refs: self.commands.names() }
    }

    /// The refs of the push, as far as they were read.
    pub fn refs(&self) -> Vec<Vec<u8>> {
        self.commands.names()
    }

    /// Whether a push comes from a shallow clone.
    pub(crate) fn is_shallow(&self) -> bool {
        self.commands.is_shallow()
    }

    /// Limits the body to the available space.
    pub fn within(mut self, room: impl SpaceLimit + 'static) -> Self {
        self.room = Some(Box::new(room));
        self
    }

    /// Forwards the body to git.
    pub(crate) async fn feed(mut self, git: &mut Sender) -> Result<(), Refusal> {
        let time = self.time;
        let late = |_| Err(format!("The request took longer than {} minutes.", time.as_secs() / 60));
        match timeout(time, self.pass(git)).await.unwrap_or_else(late) {
            Ok(()) => Ok(()),
            Err(why) => Err(self.refuse(why).await),
        }
    }

    async fn pass(&mut self, git: &mut Sender) -> Result<(), String> {
        let begun = std::mem::take(&mut self.begun);
        let mut all = begun.len() as u64;
        must_have_space(self.room.as_deref(), all).await?;
        // git may have read enough.
        if git.write_all(&begun).await.is_err() || self.is_whole {
            return Ok(());
        }
        let (mut part, mut waited, mut came) = (vec![0; 64 << 10], Duration::ZERO, 0);
        loop {
            let since = Instant::now();
            let read = timeout(limits::SILENCE.saturating_sub(waited), self.content.read(&mut part)).await;
            let read = match read.map_err(|_| SILENT.to_owned())?.map_err(|_| CUT.to_owned())? {
                0 => return Ok(()),
                read => read,
            };
            // A trickle of bytes counts as silence, so that slots and space are not held by clients that hardly send.
            (waited, came) = (waited + since.elapsed(), came + read);
            if came >= limits::PACE {
                (waited, came) = (Duration::ZERO, 0);
            }
            self.count(&part[..read])?;
            all += read as u64;
            must_have_space(self.room.as_deref(), all).await?;
            if git.write_all(&part[..read]).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn must_have_space(room: Option<&dyn SpaceLimit>, bytes: u64) -> Result<(), String> {
    match room {
        Some(room) => room.grow(bytes).await,
        None => Ok(()),
    }
}

const SILENT: &str = "No data received for a minute. Try again.";
const CUT: &str = "The upload was interrupted. Try again.";

/// The message for a push that exceeds the limit.
fn too_many_refs() -> String {
    format!("A push can change at most {} branches and tags. Split it into several pushes.", limits::MOST_REFS)
}
