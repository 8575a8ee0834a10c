//! What a router is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a router listens and keeps its files.
#[derive(Clone, Debug)]
pub struct Config {
    /// 127.0.0.1 also stands for [::1] at the same port.
    pub listen: SocketAddr,
    /// DIR: `routes.json` and `spool/router` are here.
    pub data: PathBuf,
    /// RUN: `router.sock` and `server.sock` are here.
    pub run: PathBuf,
    /// Whether clients reach us by https, through something in front that ends TLS.
    pub tls: bool,
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
            workers: std::thread::available_parallelism().map_or(1, |n| n.get()),
            timeouts: Timeouts::default(),
        }
    }
}

/// How long the router waits for what. The defaults are Heroku's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a dyno to take the connection; then another is tried, at last H19.
    pub connect: Duration,
    /// For the first byte of a response after the last byte of the request: H12.
    pub first_byte: Duration,
    /// Between two bytes of a request or response in either direction: H15, H28.
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
