//! What a router is told at its start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::networks::Networks;

/// Where a router listens and keeps its files.
#[derive(Clone, Debug)]
pub struct Config {
    /// 127.0.0.1 also stands for [::1] at the same port.
    pub listen: SocketAddr,
    /// DIR: the router's own files are here, see [`table_dir`] and [`spool_dir`].
    pub data: PathBuf,
    /// RUN: `router.sock` and `server.sock` are here.
    pub run: PathBuf,
    /// Whether clients reach us by https, through something in front that ends TLS.
    pub tls: bool,
    /// Proxies in front whose word about the client counts; everybody else's does not.
    pub trusted: Networks,
    /// Whether those say whose connection it is by the PROXY protocol, too.
    pub proxy_protocol: bool,
    /// How long browsers shall come to the platform's hosts by https alone; zero says nothing about it.
    pub hsts: Duration,
    /// How much there may be at once.
    pub limits: Limits,
    /// Threads that serve clients; at least 1.
    pub workers: usize,
    /// Heroku's, unless a test is in a hurry.
    pub timeouts: Timeouts,
}

impl Config {
    /// A router without TLS, with Heroku's time-outs and a worker for every core.
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

/// A year, as browsers' lists ask for.
pub const HSTS: Duration = Duration::from_secs(365 * 24 * 3600);

/// How much there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of one address, or of one /64 of IPv6; and requests of one that comes through a
    /// trusted proxy.
    pub per_address: usize,
    /// Connections in all; half of the files that may be open, if that is less.
    pub connections: usize,
    /// Requests of one address to the platform's hosts, streams and websockets included.
    pub platform_per_address: usize,
    /// Requests to the platform's hosts in all.
    pub platform: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_address: 1000, connections: 100_000, platform_per_address: 250, platform: 4000 }
    }
}

/// Where the router keeps its copy of the table, in a data directory. A folder of its own, because the
/// router may not write into that directory.
pub fn table_dir(data: &Path) -> PathBuf {
    data.join("router-table")
}

/// Where the router leaves its lines, in a data directory.
pub fn spool_dir(data: &Path) -> PathBuf {
    data.join("router-spool")
}

/// How long the router waits for what. The defaults are Heroku's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a dyno to take the connection; then another is tried, at last H19.
    pub connect: Duration,
    /// For the first byte of a response after the last byte of the request: H12.
    pub first_byte: Duration,
    /// Between two bytes of a request or response in either direction: H15, H28. The platform answers
    /// when it likes, but its clients have to get on in this time, too.
    pub idle: Duration,
    /// How long a dyno that refused a connection is passed over.
    pub quarantine: Duration,
    /// How long a request waits for a starting app: H20.
    pub boot: Duration,
    /// For a client to send the whole head of a request.
    pub header: Duration,
    /// How long a client may keep a connection open without a request.
    pub keep_alive: Duration,
    /// How long a request to the platform waits for the server to come back.
    pub platform: Duration,
    /// How long requests may still run after the router was told to stop.
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
