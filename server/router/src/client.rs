//! A client's connection: who it is, what it is doing, and when it has been too slow.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Shared;
use crate::config::Timeouts;
use crate::timer::Timer;

/// Between requests.
const WAITING: u8 = 0;
/// The first bytes of a head have come, but not all of it.
const HEAD: u8 = 1;
/// A request is being served; its own limits hold.
const BUSY: u8 = 2;

/// What the connection and the request on it tell each other.
pub(crate) struct Client {
    /// The peer's address, as it goes into X-Forwarded-For.
    pub(crate) address: HeaderValue,
    phase: AtomicU8,
    /// Whether a client that stops taking the response is cut off: so for apps, not for the platform.
    impatient: AtomicBool,
    stalled: AtomicBool,
}

impl Client {
    pub(crate) fn new(peer: SocketAddr) -> Client {
        let text = peer.ip().to_canonical().to_string();
        Client {
            address: HeaderValue::from_str(&text).expect("an IP address is a valid header value"),
            phase: AtomicU8::new(WAITING),
            impatient: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
        }
    }

    /// Limits how long the client may not take bytes, while this request lasts.
    pub(crate) fn limit_stalls(&self) {
        self.impatient.store(true, Relaxed);
    }

    /// Whether it was cut off because it took no bytes.
    pub(crate) fn stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }
}

/// A request in progress: held by whatever will be dropped when it is over.
pub(crate) struct InFlight {
    pub(crate) client: Arc<Client>,
    pub(crate) shared: Arc<Shared>,
}

impl InFlight {
    pub(crate) fn new(client: Arc<Client>, shared: Arc<Shared>) -> InFlight {
        client.phase.store(BUSY, Relaxed);
        shared.inflight.fetch_add(1, Relaxed);
        InFlight { client, shared }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.client.impatient.store(false, Relaxed);
        self.client.phase.store(WAITING, Relaxed);
        self.shared.inflight.fetch_sub(1, Relaxed);
    }
}

/// The socket of a client, which ends by itself when the client is too slow.
pub(crate) struct ClientSocket {
    stream: TcpStream,
    client: Arc<Client>,
    timeouts: Timeouts,
    reading: Timer,
    read_deadline: Option<Instant>,
    writing: Timer,
    write_deadline: Option<Instant>,
}

impl ClientSocket {
    pub(crate) fn new(stream: TcpStream, client: Arc<Client>, timeouts: Timeouts) -> ClientSocket {
        ClientSocket {
            stream,
            client,
            timeouts,
            reading: Timer::default(),
            read_deadline: None,
            writing: Timer::default(),
            write_deadline: None,
        }
    }

    /// Called when there was nothing to read.
    fn check_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = self.client.phase.load(Relaxed);
        if phase == BUSY {
            self.read_deadline = None;
            return Poll::Pending;
        }
        let keep_alive = self.timeouts.keep_alive;
        let deadline = *self.read_deadline.get_or_insert_with(|| Instant::now() + keep_alive);
        if self.reading.poll_until(cx, deadline).is_pending() {
            return Poll::Pending;
        }
        match phase {
            // Nothing has been asked, so there is nothing to answer: an end like any other.
            WAITING => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Called when bytes came.
    fn note_read(&mut self) {
        match self.client.phase.load(Relaxed) {
            WAITING => {
                self.client.phase.store(HEAD, Relaxed);
                self.read_deadline = Some(Instant::now() + self.timeouts.header);
            }
            HEAD => {}
            _ => self.read_deadline = None,
        }
    }

    fn check_writing(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.write_deadline = None;
            return wrote;
        }
        if !self.client.impatient.load(Relaxed) {
            return Poll::Pending;
        }
        let idle = self.timeouts.idle;
        let deadline = *self.write_deadline.get_or_insert_with(|| Instant::now() + idle);
        if self.writing.poll_until(cx, deadline).is_pending() {
            return Poll::Pending;
        }
        self.client.stalled.store(true, Relaxed);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
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
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
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
