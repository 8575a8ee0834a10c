//! The listening sockets: opened while the router has the permissions, served later.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::control;
use crate::files::raise_file_limit;

pub(crate) const BACKLOG: i32 = 4096;
/// A client that acknowledges nothing for this long has lost its network: otherwise a request of it could go on for a
/// quarter of an hour. It also ends connections of clients that read nothing for this long, such as a paused video, while
/// the kernel still has something for them; so it is long.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5 * 60);

/// Everything that needs permissions to open. Created before a router drops them.
pub struct Sockets {
    ports: Ports,
    addr: SocketAddr,
    control: UnixListener,
}

/// The sockets for clients.
pub(crate) struct Ports {
    main: StdListener,
    /// [::1] in addition to 127.0.0.1: the client decides which one `localhost` means.
    other: Option<StdListener>,
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
        Ok(Sockets { ports: Ports { main, other }, addr, control })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn split(self) -> (Ports, UnixListener) {
        (self.ports, self.control)
    }
}

/// The sockets for clients, as one worker serves them.
///
/// All workers share the same sockets, and thereby one queue of clients. With a socket per worker (`SO_REUSEPORT`), the
/// kernel would assign each client by a hash, also to a worker that is busy; those queued for a worker that ends would be
/// reset; and a second program could listen on the port unnoticed.
pub(crate) struct Listeners {
    main: TcpListener,
    other: Option<TcpListener>,
}

impl Ports {
    /// Opens them for a worker with this runtime. They are closed when all workers have dropped theirs.
    pub(crate) fn open(&self, runtime: &Runtime) -> io::Result<Listeners> {
        let _runtime = runtime.enter();
        let main = TcpListener::from_std(self.main.try_clone()?)?;
        let other = match &self.other {
            Some(other) => Some(TcpListener::from_std(other.try_clone()?)?),
            None => None,
        };
        Ok(Listeners { main, other })
    }
}

impl Listeners {
    /// The next client.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.other {
            None => self.main.accept().await,
            Some(other) => tokio::select! {
                accepted = self.main.accept() => accepted,
                accepted = other.accept() => accepted,
            },
        }
    }
}

fn listen(addr: SocketAddr) -> io::Result<StdListener> {
    // A port with connections in TIME_WAIT can be bound again: std sets SO_REUSEADDR.
    let listener = StdListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    set(&listener, libc::TCP_NODELAY, 1)?;
    set(&listener, libc::TCP_USER_TIMEOUT, UNACKNOWLEDGED.as_millis() as libc::c_int)?;
    // SAFETY: plain system call on an open socket; it changes the length of the queue.
    match unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) } {
        0 => Ok(listener),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets an option, which connections inherit. This saves a system call for each.
fn set(listener: &StdListener, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of_val(&value) as libc::socklen_t;
    let (fd, value) = (listener.as_raw_fd(), (&raw const value).cast());
    // SAFETY: the call only reads the number on our stack, whose size it is given.
    match unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, option, value, size) } {
        0 => Ok(()),
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
pub(crate) fn is_of_a_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_inherit_what_the_listener_has() {
        let listener = listen("127.0.0.1:0".parse().expect("an address")).expect("a listener");
        let _client = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        assert!(stream.nodelay().expect("an option"));
    }
}
