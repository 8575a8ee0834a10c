//! A request's body on its way into git: unpacked, bounded, and never silent for long.

use std::{
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use futures::TryStreamExt as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::pipe::Sender,
    time::timeout,
};
use tokio_util::io::StreamReader;

use super::limits;

/// Why a body was not passed on to its end: a sentence for whoever sent it, if they still listen.
pub(super) type Refusal = String;

/// What a body may be.
pub(super) struct Bounds {
    /// Bytes, after unpacking.
    pub bytes: u64,
    /// Lines in front of the first break, which are the refs of a push.
    pub lines: usize,
    /// From the first byte to the last one.
    pub time: Duration,
    /// Whether more follows its first break, which git takes in as it comes.
    pub is_push: bool,
}

/// A body on its way.
pub(super) struct Incoming {
    content: Pin<Box<dyn AsyncRead + Send>>,
    /// What was read and not passed on.
    begun: Vec<u8>,
    /// Whether that is all of it.
    is_whole: bool,
    left: u64,
    lines: Lines,
    time: Duration,
}

impl Incoming {
    /// Reads what a client has to say before git has anything to do: what it wants of a clone, or the commands of a
    /// push; of what is very long, the beginning. Whoever takes longer than a minute over it is refused: nobody is to
    /// have a place and say nothing.
    pub async fn begin(body: Body, headers: &HeaderMap, bounds: Bounds) -> Result<Self, Refusal> {
        let packed = headers.get(header::CONTENT_ENCODING).is_some_and(|e| e == "gzip" || e == "x-gzip");
        let content = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
        let content: Pin<Box<dyn AsyncRead + Send>> = match packed {
            true => Box::pin(async_compression::tokio::bufread::GzipDecoder::new(BufReader::new(content))),
            false => Box::pin(content),
        };
        let lines = Lines::new(bounds.lines);
        let (left, time) = (bounds.bytes, bounds.time);
        let mut incoming = Self { content, begun: Vec::new(), is_whole: false, left, lines, time };
        let beginning = incoming.read_beginning(bounds.is_push);
        timeout(limits::SILENCE, beginning).await.unwrap_or_else(|_| Err(SILENT.to_owned()))?;
        Ok(incoming)
    }

    async fn read_beginning(&mut self, is_push: bool) -> Result<(), Refusal> {
        let mut part = vec![0; 8 << 10];
        while self.begun.len() < limits::BEGINNING && !(is_push && self.lines.done) {
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

    fn count(&mut self, part: &[u8]) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(part.len() as u64).ok_or("That is more than git has to say.")?;
        self.lines.count(part)
    }

    /// The same, of which there may be no more than so many bytes, with what has been read.
    pub fn within(mut self, bytes: u64) -> Self {
        self.left = bytes.saturating_sub(self.begun.len() as u64);
        self
    }

    /// Passes it on to git.
    pub async fn feed(mut self, git: Sender) -> Result<(), Refusal> {
        let time = self.time;
        let late = |_| Err(format!("It took longer than {} minutes.", time.as_secs() / 60));
        timeout(time, self.pass(git)).await.unwrap_or_else(late)
    }

    async fn pass(&mut self, mut git: Sender) -> Result<(), Refusal> {
        let begun = std::mem::take(&mut self.begun);
        // git may have heard enough.
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
            // A few bytes now and then are as good as nothing: the place is for those who send.
            (waited, came) = (waited + since.elapsed(), came + read);
            if came >= limits::PACE {
                (waited, came) = (Duration::ZERO, 0);
            }
            self.count(&part[..read])?;
            if git.write_all(&part[..read]).await.is_err() {
                return Ok(());
            }
        }
    }
}

const SILENT: &str = "Nothing more came for a minute. Try again.";
const CUT: &str = "What you sent was cut short. Send it again.";

/// What whoever pushes more than git is to take is told.
pub(super) fn too_many_refs() -> Refusal {
    format!("A push may change {} branches and tags. Push them in several goes.", limits::MOST_REFS)
}

/// Counts git's lines, which say how long they are, until the first break.
struct Lines {
    most: usize,
    head: Vec<u8>,
    /// Bytes until the next line.
    rest: usize,
    done: bool,
}

impl Lines {
    fn new(most: usize) -> Self {
        Self { most, head: Vec::new(), rest: 0, done: false }
    }

    fn count(&mut self, mut part: &[u8]) -> Result<(), Refusal> {
        while !self.done && !part.is_empty() {
            let skipped = self.rest.min(part.len());
            self.rest -= skipped;
            part = &part[skipped..];
            let taken = part.len().min(4 - self.head.len());
            self.head.extend_from_slice(&part[..taken]);
            part = &part[taken..];
            if self.head.len() < 4 {
                return Ok(());
            }
            let length = std::str::from_utf8(&self.head).ok().and_then(|h| usize::from_str_radix(h, 16).ok());
            self.head.clear();
            match length {
                Some(length) if length >= 4 => self.rest = length - 4,
                // A break, or what git will not understand.
                _ => self.done = true,
            }
            if !self.done {
                self.most = self.most.checked_sub(1).ok_or_else(too_many_refs)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_wherever_they_are_cut() {
        let three = b"0009first0008nextxxxx00000009notaline".to_vec();
        let text = [&b"0009first0008next0005x0000"[..], &three].concat();
        for cut in 1..text.len() {
            let count = |most| {
                let mut lines = Lines::new(most);
                text.chunks(cut).try_for_each(|part| lines.count(part)).is_ok()
            };
            assert!(count(3) && !count(2), "{cut}");
        }
    }

    #[test]
    fn what_is_no_line_ends_the_counting() {
        let mut lines = Lines::new(0);
        assert!(lines.count(b"not a line of git").is_ok());
        assert!(Lines::new(0).count(b"0005x").is_err());
    }
}
