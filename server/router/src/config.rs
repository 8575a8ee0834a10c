//! The settings of a router.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::networks::Networks;

/// Where a router listens and keeps its files.
#[derive(Clone, Debug)]
pub struct Config {
    /// 127.0.0.1 includes [::1] at the same port.
    pub listen: SocketAddr,
    /// DIR: the router's own files are here, see [`table_dir`] and [`spool_dir`].
    pub data: PathBuf,
    /// RUN: `router.sock` and `server.sock` are here.
    pub run: PathBuf,
    /// Whether clients use HTTPS, with TLS terminated in front of the router.
    pub tls: bool,
    /// Trusted proxies: those whose information about the client is used.
    pub trusted: Networks,
    /// Whether those use the PROXY protocol, too.
    pub proxy_protocol: bool,
    /// The HSTS period of the platform's hosts; zero for no header.
    pub hsts: Duration,
    /// The concurrency limits.
    pub limits: Limits,
    /// Threads that serve clients; at least 1.
    pub workers: usize,
    /// Timeouts; Heroku's, except in tests.
    pub timeouts: Timeouts,
}

impl Config {
    /// A router without TLS, with Heroku's timeouts and a worker per core.
    pub fn new(listen: SocketAddr, data: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Config {
        Config {
            listen,
            data: data.into(),
            run: run.into(),
            tls: false,
            trusted: Networks::default(),
            proxy_protocol: false,
            hsts: HSTS,
            limits: Limits::default(),
            workers: std::thread::available_parallelism().map_or(1, |n| n.get()),
            timeouts: Timeouts::default(),
        }
    }
}

/// A year, as the browsers' preload lists require.
pub const HSTS: Duration = Duration::from_secs(365 * 24 * 3600);

/// Concurrency limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections per IPv4 address or IPv6 /64; also requests per client behind a trusted proxy.
    pub per_address: usize,
    /// All connections; half of the open file limit, if that is less.
    pub connections: usize,
    /// Requests per address to the platform's hosts, including streams and websockets.
    pub platform_per_address: usize,
    /// All requests to the platform's hosts.
    pub platform: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_address: 1000, connections: 100_000, platform_per_address: 250, platform: 4000 }
    }
}

/// The directory of the router's copy of the table in a data directory. A separate one, because the router cannot write
/// to the data directory itself.
pub fn table_dir(data: &Path) -> PathBuf {
    data.join("router-table")
}

/// The directory of the router's spool in a data directory.
pub fn spool_dir(data: &Path) -> PathBuf {
    data.join("router-spool")
}

/// Timeouts. The defaults are Heroku's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For connecting to a dyno; then another one is tried, finally H19.
    pub connect: Duration,
    /// For the first byte of a response after the last byte of the request: H12.
    pub first_byte: Duration,
    /// Between two bytes of a request or response in either direction: H15, H28. The platform's response has no time
    /// limit, but its clients do.
    pub idle: Duration,
    /// How long a dyno that refused a connection is skipped.
    pub quarantine: Duration,
    /// How long a request waits for a starting app: H20.
    pub boot: Duration,
    /// For a client to send the whole head of a request.
    pub header: Duration,
    /// How long a client can keep a connection open without a request.
    pub keep_alive: Duration,
    /// How long a request to the platform waits for the server to come back.
    pub platform: Duration,
    /// How long requests can continue after the router is stopped.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(55),
            quarantine: Duration::from_secs(5),
            boot: Duration::from_secs(75),
            header: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            platform: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}
