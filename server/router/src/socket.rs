//! The router's side of a connection to a dyno or to the server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::files::BackendFile;
use crate::interim::Interim;
use crate::{turns, writes};

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A socket that ends when the other side sends too many interim responses.
pub(crate) struct Socket {
    stream: Stream,
    interim: Arc<Interim>,
    buffers: Arc<Buffers>,
    _file: BackendFile,
}

/// The sizes of the buffers that a connection has needed, and holds while it is idle.
#[derive(Default)]
pub(crate) struct Buffers {
    read: AtomicUsize,
    written: AtomicUsize,
}

impl Buffers {
    pub(crate) fn bytes(&self) -> usize {
        self.read.load(Relaxed) + self.written.load(Relaxed)
    }
}

fn note(largest: &AtomicUsize, bytes: usize) {
    if bytes > largest.load(Relaxed) {
        largest.store(bytes, Relaxed);
    }
}

/// TCP to dynos, Unix to the server.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Connects, with the system's timeout.
    pub(crate) async fn connect(
        address: &Address,
        interim: Arc<Interim>,
        buffers: Arc<Buffers>,
        file: BackendFile,
    ) -> io::Result<Socket> {
        let stream = match address {
            Address::Tcp(addr) => {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        };
        Ok(Socket { stream, interim, buffers, _file: file })
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // hyper processes everything that it has read before it reads more.
        if self.interim.is_excessive() {
            return Poll::Ready(Err(io::Error::other("too many interim responses")));
        }
        note(&self.buffers.read, buf.remaining());
        match &mut self.stream {
            Stream::Tcp(stream) => turns::poll_read(Pin::new(stream), cx, buf),
            Stream::Unix(stream) => turns::poll_read(Pin::new(stream), cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        note(&self.buffers.written, buf.len());
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The first one is the head, and the buffer that stays.
        note(&self.buffers.written, bufs.first().map_or(0, |head| head.len()));
        match &mut self.stream {
            Stream::Tcp(stream) => writes::poll_write_vectored(Pin::new(stream), cx, bufs),
            Stream::Unix(stream) => writes::poll_write_vectored(Pin::new(stream), cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
