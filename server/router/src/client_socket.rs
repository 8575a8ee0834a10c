//! The socket of a client, which closes itself if the client is too slow.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{Client, Phase};
use crate::client_slots::ClientSlot;
use crate::config::Timeouts;
use crate::open_connection::OpenConnection;
use crate::timer::Timer;
use crate::{turns, writes};

/// Fewer bytes than this within the stall timeout do not count as progress.
const LEAST: i32 = 1024;

pub(crate) struct ClientSocket {
    /// Bytes that were read before.
    first: Bytes,
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

    /// Called when bytes were received.
    fn note_read(&mut self) {
        match self.client.phase() {
            Phase::Waiting => {
                self.client.set_phase(Phase::Head);
                self.read_deadline = Some(Instant::now() + self.timeouts.header);
            }
            Phase::Head => {}
            Phase::Busy => self.read_deadline = None,
        }
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
        if !self.first.is_empty() {
            let n = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..n]);
            self.first.advance(n);
            self.note_read();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match turns::poll_read(Pin::new(&mut self.stream), cx, buf) {
            Poll::Pending => self.check_reading(cx),
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    self.note_read();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.check_writing(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = writes::poll_write_vectored(Pin::new(&mut self.stream), cx, bufs);
        self.check_writing(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
