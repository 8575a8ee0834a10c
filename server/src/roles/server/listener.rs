//! The server's socket: for root and the router only, with a limit on connections below the limit on open files.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::{Context as _, Result};
use dyno::uids;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream, unix::SocketAddr},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Concurrent connections, well above the router's limits; more wait in the backlog.
const CONNECTIONS: usize = 8192;

/// A socket that accepts a limited number of concurrent connections.
pub struct Listener {
    socket: UnixListener,
    slots: Arc<Semaphore>,
}

impl Listener {
    /// Listens at `path`, accessible only to root and the router's user from the beginning.
    pub fn bind(path: &Path) -> Result<Listener> {
        let aside = path.with_extension("new");
        let _ = fs::remove_file(&aside);
        let socket = UnixListener::bind(&aside).with_context(|| format!("listen on {}", path.display()))?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))
            .and_then(|()| chown(&aside, Some(uids::ROUTER), Some(uids::ROUTER)))
            .context("restrict access to the socket")?;
        fs::rename(&aside, path).with_context(|| format!("move {} into place", path.display()))?;
        Ok(Listener { socket, slots: Arc::new(Semaphore::new(CONNECTIONS)) })
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let slot = self.slots.clone().acquire_owned().await.expect("nobody closes it");
        let (stream, address) = axum::serve::Listener::accept(&mut self.socket).await;
        (Connection { stream, _slot: slot }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection and its slot.
pub struct Connection {
    stream: UnixStream,
    _slot: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
