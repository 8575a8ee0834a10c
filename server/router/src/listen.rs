//! Clients' connections: taken, served, and limited in number.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::Shared;
use crate::client::{Client, ClientSocket};
use crate::entry;
use crate::workers::Workers;

const BACKLOG: u32 = 4096;
const PAUSE: Duration = Duration::from_millis(50);
const MOST_CONNECTIONS: usize = 100_000;
/// The longest head of a request.
const HEAD_BYTES: usize = 256 * 1024;

/// The sockets that clients connect to.
pub(crate) struct Listeners {
    main: TcpListener,
    addr: SocketAddr,
    /// [::1], beside 127.0.0.1: which of the two `localhost` means is up to the client.
    other: Option<TcpListener>,
}

impl Listeners {
    pub(crate) fn bind(addr: SocketAddr) -> anyhow::Result<Listeners> {
        let main = listen(addr).map_err(|error| anyhow::anyhow!(sentence(addr, &error)))?;
        let addr = main.local_addr()?;
        let other = match addr.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
            true => listen((Ipv6Addr::LOCALHOST, addr.port()).into())
                .inspect_err(|error| tracing::info!(%error, "does not listen on [::1] too"))
                .ok(),
            false => None,
        };
        Ok(Listeners { main, addr, other })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Hands clients to the workers until `shutdown`.
    pub(crate) async fn serve(
        self,
        shared: &Arc<Shared>,
        workers: &mut Workers,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let most = most_connections();
        let mut shutdown = pin!(shutdown);
        loop {
            let full = shared.connections.load(Relaxed) >= most;
            tokio::select! {
                accepted = self.accept(), if !full => match accepted {
                    Ok((stream, peer)) => {
                        shared.connections.fetch_add(1, Relaxed);
                        workers.give((stream, peer));
                    }
                    Err(error) if is_connections_own(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "could not take a connection");
                        sleep(PAUSE).await;
                    }
                },
                () = sleep(PAUSE), if full => {}
                () = &mut shutdown => return,
            }
        }
    }

    async fn accept(&self) -> io::Result<(std::net::TcpStream, SocketAddr)> {
        let (stream, peer) = match &self.other {
            None => self.main.accept().await,
            Some(other) => tokio::select! {
                accepted = self.main.accept() => accepted,
                accepted = other.accept() => accepted,
            },
        }?;
        // Out of this thread's reactor and, later, into that of its worker.
        Ok((stream.into_std()?, peer))
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A port whose last connections have not timed out yet can be taken again.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn sentence(addr: SocketAddr, error: &io::Error) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Port {port} on {ip} is in use by another program. Stop that program (`ss -ltnp 'sport = :{port}'` \
             shows it), or choose another port with --listen {}.",
            SocketAddr::new(ip, port.checked_add(1).unwrap_or(5000))
        ),
        io::ErrorKind::PermissionDenied => {
            format!(
                "Port {port} may not be used by this user. Start as root, or choose a port above 1023 with --listen."
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("This machine has no address {ip}. Choose one it has with --listen, or 0.0.0.0 for all.")
        }
        _ => format!("Could not listen on {addr}: {error}. Choose another address with --listen."),
    }
}

/// Errors that are over with the connection they concern.
fn is_connections_own(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Serves a client until it has no more requests.
pub(crate) async fn connection(shared: Arc<Shared>, stream: std::net::TcpStream, peer: SocketAddr) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::error!(%error, "could not serve a connection");
            return;
        }
    };
    if stream.set_nodelay(true).is_err() {
        // The client has left already.
        return;
    }
    let client = Arc::new(Client::new(peer));
    let socket = ClientSocket::new(stream, client.clone(), shared.config.timeouts);
    let service = service_fn(|request| {
        let answer = entry::serve(shared.clone(), client.clone(), request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        // The socket does this itself, with a shorter time than between requests.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut told = false;
    let ended = poll_fn(|cx| {
        if !told && shared.stopping.load(Relaxed) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

/// Raises the number of files this process may open to what the system allows it.
pub(crate) fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only read or write the struct on our stack.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Half of the files for clients, the other half for dynos.
fn most_connections() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call only writes the struct on our stack.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 };
    let files = if known { limit.rlim_cur as usize } else { 1024 };
    (files.saturating_sub(64) / 2).clamp(16, MOST_CONNECTIONS)
}
