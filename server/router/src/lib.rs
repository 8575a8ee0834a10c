//! Routes requests to dynos.
//!
//! The router is a separate process in front of everything: it forwards requests for apps to their dynos, and requests
//! for the platform's hosts to the server's Unix socket. It knows only the table that the server sends to its control
//! socket ([`Control`]), keeps the last one on disk, and continues to serve while the server is down.
//!
//! A request is one task from end to end: the client's connection, the choice of a dyno (`apps`), the connection to it
//! (`wire`), its response (`relay`), its log line (`lines`).
//!
//! This crate has no policy about apps: the table determines which dynos get requests, and the response of an app
//! without any.

mod apps;
mod backends;
mod claims;
mod client;
mod client_slots;
mod client_socket;
mod codes;
mod config;
mod connection;
mod control;
mod counters;
mod draining;
mod entry;
mod files;
mod forwarded;
mod headers;
mod in_flight;
mod incoming_body;
mod interim;
mod joined;
mod lines;
mod listen;
mod lru;
mod networks;
mod notices;
mod open_connection;
mod origin;
mod origins;
mod pages;
mod per_worker;
mod platform_hosts;
mod pool;
mod proxy_protocol;
mod queue;
mod relay;
mod replay;
mod replies;
mod request_line;
mod routes;
mod socket;
mod spooling;
mod stats;
mod strict;
mod table;
mod this_worker;
mod timer;
mod tunnel;
mod turns;
mod upload;
mod wire;
mod workers;
mod writes;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use tokio::net::UnixListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

pub use codes::Code;
pub use config::{Config, HSTS, Limits, Timeouts, spool_dir, table_dir};
pub use control::{Control, Error, InUse};
pub use counters::{AppCounters, Counters, Histogram};
pub use files::raise_file_limit;
pub use listen::Sockets;
pub use networks::Networks;
pub use routes::{AppRoute, AppState, Backend, Routes};

use backends::Backend as ServerBackend;
use client_slots::ClientSlots;
use draining::Draining;
use files::Files;
use notices::Notices;
use origins::Origins;
use per_worker::PerWorker;
use pool::Pool;
use socket::Address;
use spooling::Spool;
use table::Table;
use workers::Workers;

/// The server's socket in RUN.
const SERVER_SOCKET: &str = "server.sock";
const SWEEP: Duration = Duration::from_secs(1);

/// Runs a router until `shutdown`, then lets requests finish. Errors are sentences for the operator.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    Router::bind(config)?.run(shutdown).await
}

/// A router that listens, but does not serve yet.
pub struct Router {
    shared: Arc<Shared>,
    sockets: Sockets,
}

/// State shared by all requests.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) origins: Origins,
    pub(crate) table: ArcSwap<Table>,
    /// Notified after every change of the table.
    pub(crate) changed: Notify,
    /// Dynos that are no longer in the table.
    pub(crate) draining: Draining,
    pub(crate) server: Arc<ServerBackend>,
    pub(crate) spool: Spool,
    /// Requests in progress, and connections that may have one.
    pub(crate) inflight: PerWorker,
    /// Open connections of clients.
    pub(crate) connections: AtomicUsize,
    pub(crate) files: Arc<Files>,
    /// Idle connections to dynos and the server.
    pub(crate) pool: Arc<Pool>,
    /// Connections without a slot: waiting for one, or being rejected.
    pub(crate) hall: Semaphore,
    /// Slots for connections, for requests through trusted proxies, and for requests to the platform.
    pub(crate) slots: Arc<ClientSlots>,
    pub(crate) proxied: Arc<ClientSlots>,
    pub(crate) platform: Arc<ClientSlots>,
    pub(crate) notices: Notices,
    /// Set when connections must not start further requests.
    pub(crate) stopping: AtomicBool,
    /// Ends tunnels, which would never end by themselves.
    pub(crate) tunnels: CancellationToken,
    pub(crate) since: DateTime<Utc>,
}

impl Router {
    /// Binds the port and the control socket, and loads the last table from disk.
    pub fn bind(config: Config) -> anyhow::Result<Router> {
        let sockets = Sockets::bind(&config)?;
        Router::new(config, sockets)
    }

    /// Opens the spool and loads the last table from disk. Needs no permissions except for its own files.
    pub fn new(mut config: Config, sockets: Sockets) -> anyhow::Result<Router> {
        config.workers = config.workers.max(1);
        let dir = spool_dir(&config.data);
        let spool = Spool::open(&dir).with_context(|| format!("open the spool {}", dir.display()))?;
        let folder = table_dir(&config.data);
        std::fs::create_dir_all(&folder).with_context(|| format!("create the folder {}", folder.display()))?;
        let limits = config.limits;
        let files = Arc::new(Files::of_process(config.workers, limits.connections));
        let pool = Pool::new(config.workers, files.clone());
        let table = control::load(&config.data, &pool);
        let server = Address::Unix(config.run.join(SERVER_SOCKET));
        let shared = Arc::new(Shared {
            origins: Origins::new(config.tls, sockets.addr().port()),
            table: ArcSwap::from_pointee(table),
            changed: Notify::new(),
            draining: Draining::default(),
            server: Arc::new(ServerBackend::new("server".to_owned(), server, &pool)),
            spool,
            inflight: PerWorker::new(config.workers),
            connections: AtomicUsize::new(0),
            hall: Semaphore::new(files.hall),
            slots: ClientSlots::new(limits.per_address, files.clients),
            proxied: ClientSlots::new(limits.per_address, usize::MAX),
            platform: ClientSlots::new(limits.platform_per_address, limits.platform),
            notices: Notices::default(),
            stopping: AtomicBool::new(false),
            tunnels: CancellationToken::new(),
            since: Utc::now(),
            files,
            pool,
            config,
        });
        Ok(Router { shared, sockets })
    }

    /// Its listening address, with the actual port if 0 was requested.
    pub fn addr(&self) -> SocketAddr {
        self.sockets.addr()
    }

    /// Serves until `shutdown`, then lets requests finish.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        let Router { shared, sockets } = self;
        tracing::info!(listen = %sockets.addr(), "the router serves");
        let (ports, control) = sockets.split();
        let control = UnixListener::from_std(control).context("serve on the control socket")?;
        let control = tokio::spawn(control::serve(control, shared.clone()));
        let sweeper = tokio::spawn(sweep(shared.clone()));
        let mut workers = Workers::start(&shared, ports)?;
        shutdown.await;
        workers.close_ports().await;
        shared.stopping.store(true, Relaxed);
        shared.tunnels.cancel();
        drain(&shared).await;
        control.abort();
        sweeper.abort();
        control::remove(&shared.config.run);
        let end = move || {
            workers.stop();
            shared.spool.close();
        };
        tokio::task::spawn_blocking(end).await.context("write the last router lines")
    }
}

/// Waits for requests to finish, up to the configured limit.
async fn drain(shared: &Shared) {
    let all_done = async {
        while shared.inflight.total() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(shared.config.timeouts.drain, all_done).await.is_err() {
        let left = shared.inflight.total();
        tracing::warn!("{left} requests did not finish in time and are aborted");
    }
}

async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        shared.pool.sweep();
    }
}

impl Shared {
    /// Activates a table. Requests in progress keep their dynos.
    pub(crate) fn apply(&self, routes: &Routes) {
        let previous = self.table.load_full();
        let next = Arc::new(Table::new(routes, &previous, &self.pool));
        self.table.store(next.clone());
        self.draining.add(previous.retire_for(&next));
        self.changed.notify_waiters();
    }

    pub(crate) fn counters(&self) -> Counters {
        let table = self.table.load_full();
        let mut apps: Vec<AppCounters> = table.apps.values().map(|app| app.stats.read(app.id)).collect();
        apps.sort_by_key(|app| app.app_id);
        Counters {
            since: self.since,
            at: Utc::now(),
            connections: self.connections.load(Relaxed) as u64,
            lines_dropped: self.spool.dropped(),
            evicted: self.notices.evicted.total(),
            refused: self.notices.refused.total(),
            malformed: self.notices.malformed.total(),
            apps,
        }
    }

    /// Records that connections were evicted for a new one of `ip`.
    pub(crate) fn note_evicted(&self, connections: usize, ip: IpAddr) {
        for _ in 0..connections {
            self.notices.evicted.count(|n| {
                tracing::warn!(
                    "closed {n} slow connections to make room because the limit per address or in total was reached; \
                     the last one for {ip}"
                );
            });
        }
    }

    /// Records that a connection or request of `ip` was rejected because of a limit.
    pub(crate) fn note_refused(&self, ip: IpAddr) {
        self.notices.refused.count(|n| {
            tracing::warn!(
                "rejected {n} connections or requests because of the limit per address; the last one from {ip}. \
                 Raise it with --connections-per-address; behind a proxy, see --trusted-proxies"
            );
        });
    }

    /// Records that a connection could not be accepted immediately.
    pub(crate) fn note_out_of_files(&self) {
        self.notices.out_of_files.count(|n| {
            tracing::error!(
                "could not accept connections {n} times, because this process or the system has too many open files; \
                 they wait. Raise the limit of open files (`ulimit -n`, or LimitNOFILE= in the systemd unit)"
            );
        });
    }

    /// Records a malformed or ambiguous request.
    pub(crate) fn note_malformed(&self, ip: IpAddr, why: &dyn std::fmt::Display) {
        self.notices.malformed.count(|n| {
            tracing::info!(code = "H26", fwd = %ip, "rejected {n} malformed requests; the last one: {why}");
        });
    }
}
