//! A request's body on its way into git: unpacked, bounded, and never silent for long.

use std::{io, pin::Pin, time::Duration};

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
}

/// Passes a body on to git.
pub(super) async fn feed(body: Body, headers: &HeaderMap, bounds: Bounds, mut git: Sender) -> Result<(), Refusal> {
    let packed = headers.get(header::CONTENT_ENCODING).is_some_and(|e| e == "gzip" || e == "x-gzip");
    let content = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let mut content: Pin<Box<dyn AsyncRead + Send>> = match packed {
        true => Box::pin(async_compression::tokio::bufread::GzipDecoder::new(BufReader::new(content))),
        false => Box::pin(content),
    };
    let (mut left, mut lines, mut part) = (bounds.bytes, Lines::new(bounds.lines), vec![0; 64 << 10]);
    let passed = async {
        loop {
            let read = timeout(limits::SILENCE, content.read(&mut part)).await;
            let read = read.map_err(|_| "Nothing more came for a minute. Try again.".to_owned())?;
            let read = match read.map_err(|_| "What you sent was cut short. Send it again.".to_owned())? {
                0 => return Ok(()),
                read => read,
            };
            left = left.checked_sub(read as u64).ok_or("That is more than git has to say.")?;
            lines.count(&part[..read])?;
            // git may have heard enough.
            if git.write_all(&part[..read]).await.is_err() {
                return Ok(());
            }
        }
    };
    let late = |_| Err(format!("It took longer than {} minutes.", bounds.time.as_secs() / 60));
    timeout(bounds.time, passed).await.unwrap_or_else(late)
}

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
