//! The socket of a client, which closes itself if the client is too slow.
//!
//! Between the client and the parser, it changes two things: bytes in a request's target that the parser would reject are
//! encoded ([`RequestLine`]), and the parser's bare response to a head that it cannot read is replaced by a page.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{Client, Phase};
use crate::client_slots::ClientSlot;
use crate::config::Timeouts;
use crate::open_connection::OpenConnection;
use crate::pages::Page;
use crate::request_line::RequestLine;
use crate::timer::Timer;
use crate::{turns, writes};

/// Fewer bytes than this within the stall timeout do not count as progress.
const LEAST: i32 = 1024;

pub(crate) struct ClientSocket {
    /// Bytes that were read before.
    first: Bytes,
    line: RequestLine,
    /// Bytes that were read and encoded, and did not fit into the reader's buffer.
    encoded: Bytes,
    /// The rest of a page to be written.
    page: Bytes,
    client: Arc<Client>,
    timeouts: Timeouts,
    reading: Timer,
    read_deadline: Option<Instant>,
    writing: Timer,
    stall: Option<Stall>,
    stream: TcpStream,
    _held: (ClientSlot, OpenConnection),
}

/// A period in which the client reads nothing.
struct Stall {
    deadline: Instant,
    /// Bytes that the client had not read when it began.
    queued: i32,
}

impl ClientSocket {
    pub(crate) fn new(
        stream: TcpStream,
        first: Bytes,
        client: Arc<Client>,
        timeouts: Timeouts,
        held: (ClientSlot, OpenConnection),
    ) -> ClientSocket {
        ClientSocket {
            first,
            line: RequestLine::default(),
            encoded: Bytes::new(),
            page: Bytes::new(),
            client,
            timeouts,
            reading: Timer::default(),
            read_deadline: None,
            writing: Timer::default(),
            stall: None,
            stream,
            _held: held,
        }
    }

    /// Called when nothing could be read.
    fn check_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = self.client.phase();
        if phase == Phase::Busy {
            self.read_deadline = None;
            return Poll::Pending;
        }
        let keep_alive = self.timeouts.keep_alive;
        let deadline = *self.read_deadline.get_or_insert_with(|| Instant::now() + keep_alive);
        if self.reading.poll_until(cx, deadline).is_pending() {
            return Poll::Pending;
        }
        match phase {
            // There is no request to respond to, so this is a normal end.
            Phase::Waiting => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Called when bytes were received, those of `buf` from `before` on.
    fn note_read(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        match self.client.phase() {
            Phase::Waiting => {
                self.client.set_phase(Phase::Head);
                self.read_deadline = Some(Instant::now() + self.timeouts.header);
                if self.client.has_sent_body() {
                    self.line.lose();
                } else {
                    self.line.begin();
                }
            }
            Phase::Head => {}
            Phase::Busy => {
                self.read_deadline = None;
                self.line.lose();
            }
        }
        let Some(encoded) = self.line.read(&buf.filled()[before..]) else { return };
        buf.set_filled(before);
        let fits = encoded.len().min(buf.remaining());
        buf.put_slice(&encoded[..fits]);
        self.encoded = Bytes::from(encoded).slice(fits..);
    }

    /// Writes what is left of a page.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.page.is_empty() {
            let wrote = Pin::new(&mut self.stream).poll_write(cx, &self.page);
            match ready!(self.check_writing(cx, wrote))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.page.advance(n),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Replaces a response of the parser by a page, which [`Self::poll_page`] writes.
    fn is_replaced(&mut self, response: &[u8]) -> bool {
        // A response to a request is written while that is served, or before the next one arrives.
        if self.client.phase() != Phase::Head || !self.page.is_empty() {
            return false;
        }
        let Some(status) = automatic(response) else { return false };
        self.page = Page::unreadable(status).bytes().into();
        true
    }

    fn check_writing(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            if self.stall.take().is_some() {
                self.client.takes_nothing(false);
            }
            return wrote;
        }
        if turns::is_over() {
            // The cause of the wait is the end of the turn, not the client.
            return Poll::Pending;
        }
        if self.stall.is_none() {
            self.client.takes_nothing(true);
            self.stall = Some(Stall::begin(&self.stream, self.timeouts.idle));
        }
        while let Some(stall) = &self.stall {
            if self.writing.poll_until(cx, stall.deadline).is_pending() {
                return Poll::Pending;
            }
            if stall.queued - queued(&self.stream) < LEAST {
                break;
            }
            // The client does read; there is only more data in between than it reads in that time.
            self.stall = Some(Stall::begin(&self.stream, self.timeouts.idle));
        }
        self.client.stall();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Stall {
    fn begin(stream: &TcpStream, idle: Duration) -> Stall {
        Stall { deadline: Instant::now() + idle, queued: queued(stream) }
    }
}

/// The status of a response that the parser has generated: it has no other headers than these.
fn automatic(response: &[u8]) -> Option<StatusCode> {
    let head = std::str::from_utf8(response).ok()?.strip_suffix("\r\n\r\n")?;
    let (status, headers) = head.split_once("\r\n")?;
    let status = StatusCode::from_bytes(status.strip_prefix("HTTP/1.1 ")?.get(..3)?.as_bytes()).ok()?;
    let is_plain =
        |line: &str| ["connection: close", "content-length: 0"].contains(&line) || line.starts_with("date: ");
    (status.is_client_error() && headers.split("\r\n").all(is_plain)).then_some(status)
}

/// Written bytes that the client's machine has not acknowledged yet.
fn queued(stream: &TcpStream) -> i32 {
    let mut bytes = 0;
    // SAFETY: the call writes a number to our stack.
    match unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) } {
        0 => bytes,
        _ => 0,
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        self.client.set_socket(None);
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if !self.encoded.is_empty() {
            let n = self.encoded.len().min(buf.remaining());
            buf.put_slice(&self.encoded[..n]);
            self.encoded.advance(n);
            return Poll::Ready(Ok(()));
        }
        if !self.first.is_empty() {
            let n = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..n]);
            self.first.advance(n);
            self.note_read(buf, before);
            return Poll::Ready(Ok(()));
        }
        match turns::poll_read(Pin::new(&mut self.stream), cx, buf) {
            Poll::Pending => self.check_reading(cx),
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    self.note_read(buf, before);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_page(cx))?;
        if self.is_replaced(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.check_writing(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_page(cx))?;
        if let [buf] = bufs
            && self.is_replaced(buf)
        {
            return Poll::Ready(Ok(buf.len()));
        }
        let wrote = writes::poll_write_vectored(Pin::new(&mut self.stream), cx, bufs);
        self.check_writing(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_page(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_page(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_responses_of_the_parser_are_replaced() {
        let date = "date: Wed, 02 Dec 2026 10:00:00 GMT";
        let of_parser = format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n\r\n");
        assert_eq!(automatic(of_parser.as_bytes()), Some(StatusCode::BAD_REQUEST));
        for other in [
            of_parser.replace("400", "200"),
            of_parser.replace("content-length: 0", "content-length: 5"),
            of_parser.replace("connection: close", "via: 1.1 wharf-router"),
            of_parser.clone() + "x",
            "HTTP/1.1 400 Bad Request\r\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(automatic(other.as_bytes()), None, "{other}");
        }
    }
}
