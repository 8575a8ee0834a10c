//! The server's socket: for root and the router, and for no more connections than there are files for.

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

/// Connections at once, well above what the router lets through: those beyond wait to be taken.
const CONNECTIONS: usize = 8192;

/// A socket that takes so many connections at once.
pub struct Listener {
    socket: UnixListener,
    places: Arc<Semaphore>,
}

impl Listener {
    /// Listens at `path`, from the first moment on for root and the router's user alone.
    pub fn bind(path: &Path) -> Result<Listener> {
        let aside = path.with_extension("new");
        let _ = fs::remove_file(&aside);
        let socket = UnixListener::bind(&aside).with_context(|| format!("listen on {}", path.display()))?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))
            .and_then(|()| chown(&aside, Some(uids::ROUTER), Some(uids::ROUTER)))
            .context("close the socket to others")?;
        fs::rename(&aside, path).with_context(|| format!("put {} into place", path.display()))?;
        Ok(Listener { socket, places: Arc::new(Semaphore::new(CONNECTIONS)) })
    }
}

impl axum::serve::Listener for Listener {
    type Io = Taken;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Taken, SocketAddr) {
        let place = self.places.clone().acquire_owned().await.expect("nobody closes it");
        let (stream, address) = axum::serve::Listener::accept(&mut self.socket).await;
        (Taken { stream, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection and its place.
pub struct Taken {
    stream: UnixStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Taken {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Taken {
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
