//! The listening sockets: opened while the router has the permissions, served later.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::Shared;
use crate::config::Config;
use crate::control;
use crate::open_connection::OpenConnection;
use crate::workers::Workers;

const BACKLOG: i32 = 4096;
const PAUSE: Duration = Duration::from_millis(50);
/// Connections beyond those with a slot: waiting for one, or being rejected.
pub(crate) const HALL: usize = 512;

/// Everything that needs permissions to open. Created before a router drops them.
pub struct Sockets {
    main: StdListener,
    addr: SocketAddr,
    /// [::1] in addition to 127.0.0.1: the client decides which one `localhost` means.
    other: Option<StdListener>,
    pub(crate) control: UnixListener,
}

impl Sockets {
    /// Binds the port and the control socket, and raises the limit of open files.
    pub fn bind(config: &Config) -> anyhow::Result<Sockets> {
        raise_file_limit();
        let main = listen(config.listen).map_err(|error| anyhow::anyhow!(sentence(config.listen, &error)))?;
        let addr = main.local_addr()?;
        let other = match addr.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
            true => listen((Ipv6Addr::LOCALHOST, addr.port()).into())
                .inspect_err(|error| tracing::info!(%error, "could not also listen on [::1]"))
                .ok(),
            false => None,
        };
        let control = control::bind(&config.run)?;
        Ok(Sockets { main, addr, other, control })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// The sockets when they serve.
pub(crate) struct Listeners {
    main: TcpListener,
    other: Option<TcpListener>,
}

impl Listeners {
    pub(crate) fn new(main: StdListener, other: Option<StdListener>) -> io::Result<Listeners> {
        Ok(Listeners { main: TcpListener::from_std(main)?, other: other.map(TcpListener::from_std).transpose()? })
    }

    /// Hands clients to the workers until `shutdown`.
    pub(crate) async fn serve(
        self,
        shared: &Arc<Shared>,
        workers: &mut Workers,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let most = shared.most_connections + HALL;
        let mut shutdown = pin!(shutdown);
        loop {
            let full = shared.connections.load(Relaxed) >= most;
            tokio::select! {
                accepted = self.accept(), if !full => match accepted {
                    Ok((stream, peer)) => workers.give((stream, peer, OpenConnection::new(shared))),
                    Err(error) if is_connections_own(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "could not accept a connection");
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
        // Moved from this thread's reactor to that of its worker.
        Ok((stream.into_std()?, peer))
    }
}

impl Sockets {
    pub(crate) fn split(self) -> (io::Result<Listeners>, UnixListener) {
        (Listeners::new(self.main, self.other), self.control)
    }
}

fn listen(addr: SocketAddr) -> io::Result<StdListener> {
    // A port with connections in TIME_WAIT can be bound again: std sets SO_REUSEADDR.
    let listener = StdListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    // SAFETY: plain system call on an open socket; it changes the length of the queue.
    match unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) } {
        0 => Ok(listener),
        _ => Err(io::Error::last_os_error()),
    }
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
            format!("This user cannot listen on port {port}. Start as root, or choose a port above 1023 with --listen.")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "This machine does not have the address {ip}. Use one of its addresses with --listen, or 0.0.0.0 for all."
            )
        }
        _ => format!("Could not listen on {addr}: {error}. Choose another address with --listen."),
    }
}

/// Errors that concern a single connection.
fn is_connections_own(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Raises this process's limit of open files to what the system allows: root can exceed the limit that it was started
/// with.
pub fn raise_file_limit() {
    const MOST: libc::rlim_t = 1 << 20;
    let limit = |limit: libc::rlimit| {
        // SAFETY: the call only reads the struct on our stack.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0 }
    };
    let Some(found) = file_limit() else { return };
    let more = found.rlim_max < MOST && limit(libc::rlimit { rlim_cur: MOST, rlim_max: MOST });
    if !more {
        limit(libc::rlimit { rlim_cur: found.rlim_max, ..found });
    }
}

fn file_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call only writes the struct on our stack.
    (unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0).then_some(limit)
}

/// Half of the open files are for clients, the other half for dynos.
pub(crate) fn most_connections(wanted: usize) -> usize {
    let files = file_limit().map_or(1024, |limit| limit.rlim_cur as usize);
    (files.saturating_sub(HALL + 64) / 2).clamp(16, wanted.max(16))
}
