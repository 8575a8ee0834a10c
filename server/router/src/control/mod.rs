//! The control socket, over which the server sends the routing table.

mod client;

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;

use crate::Shared;
use crate::config::table_dir;
use crate::files::is_out_of_files;
use crate::pool::Pool;
use crate::routes::Routes;
use crate::table::Table;

pub use client::{Control, Error};

const SOCKET: &str = "router.sock";
const ROUTES: &str = "routes.json";
/// Enough for a table of some hundred thousand apps.
const ROUTES_BYTES: usize = 64 * 1024 * 1024;

/// Enough for more dynos than the number of addresses.
const DYNOS_BYTES: usize = 4 * 1024 * 1024;
/// How long a request to wait for dynos waits at most.
const DRAINED: Duration = Duration::from_secs(30);

/// The state of the table in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUse {
    /// The version that its sender chose; 0 for a router that never had one.
    pub version: u64,
    /// The dynos that are no longer in the table and still have requests in progress. Websockets do not count.
    #[serde(default)]
    pub busy: Vec<SocketAddr>,
    /// Whether it could not be written to disk. It is in use all the same; only a router that restarts goes on with the
    /// last one that could be.
    #[serde(default)]
    pub unsaved: bool,
}

/// Creates the control socket, for this user alone.
pub(crate) fn bind(run: &Path) -> anyhow::Result<StdListener> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(run)
        .with_context(|| format!("create the run directory {}", run.display()))?;
    // Bound under another name until its mode is set, so that others can never open it.
    let path = run.join(SOCKET);
    let new = run.join(format!("{SOCKET}.new"));
    let _ = fs::remove_file(&new);
    let listener =
        StdListener::bind(&new).with_context(|| format!("listen on the control socket {}", path.display()))?;
    listener
        .set_nonblocking(true)
        .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(0o600)))
        .and_then(|()| fs::rename(&new, &path))
        .with_context(|| format!("move the control socket to {}", path.display()))?;
    Ok(listener)
}

/// Serves the control socket forever.
pub(crate) async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let control = Arc::new(Served { shared, writing: Arc::default(), unsaved: AtomicBool::new(false) });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(control.clone(), stream));
            }
            // The connection waits until there is a file for it.
            Err(error) if is_out_of_files(&error) && control.shared.pool.make_room() => {}
            Err(error) => {
                tracing::error!(%error, "could not accept a control connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Removes the socket of a router that has ended. A router that has dropped its permissions cannot do that; connecting
/// to it then fails.
pub(crate) fn remove(run: &Path) {
    let _ = fs::remove_file(run.join(SOCKET));
}

/// The table of the last run. Without a usable one, the router serves only the platform's hosts.
pub(crate) fn load(data: &Path, pool: &Arc<Pool>) -> Table {
    let path = table_dir(data).join(ROUTES);
    let routes = match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Routes::default(),
        Err(error) => {
            tracing::error!(%error, "could not read {}; apps are served once the server has sent routes", path.display());
            Routes::default()
        }
        Ok(routes) => routes,
    };
    Table::new(&routes, &Table::default(), pool)
}

fn read(path: &Path) -> io::Result<Routes> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > ROUTES_BYTES as u64 {
        return Err(io::Error::other(format!("it is not a file of at most {ROUTES_BYTES} bytes")));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(ROUTES_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Writes the table atomically: a crash leaves either the old one or the new one.
fn save(data: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let dir = table_dir(data);
    let path = dir.join(ROUTES);
    let new = path.with_extension("json.new");
    let write = || {
        let mut file = File::create(&new)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&dir)?.sync_all()
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// Closes idle connections for it, if there are no files left.
fn save_with_room(shared: &Shared, bytes: &[u8]) -> anyhow::Result<()> {
    let data = &shared.config.data;
    let is_out_of_files = |error: &anyhow::Error| error.downcast_ref::<io::Error>().is_some_and(is_out_of_files);
    match save(data, bytes) {
        Err(error) if is_out_of_files(&error) && shared.pool.make_room() => save(data, bytes),
        saved => saved,
    }
}

struct Served {
    shared: Arc<Shared>,
    /// Held while a table is activated and written, so that memory and disk agree.
    writing: Arc<Mutex<()>>,
    /// Whether the table in use could not be written.
    unsaved: AtomicBool,
}

async fn connection(control: Arc<Served>, stream: UnixStream) {
    let service = service_fn(|request| {
        let control = control.clone();
        async move { Ok::<_, Infallible>(control.answer(request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a control connection ended early");
    }
}

impl Served {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::PUT, "/routes") => self.put(request).await,
            (&Method::GET, "/routes") => json(&self.in_use()),
            (&Method::POST, "/drained") => self.wait(request).await,
            (&Method::GET, "/counters") => json(&self.shared.counters()),
            _ => refuse(StatusCode::NOT_FOUND, "Available: PUT /routes, GET /routes, POST /drained and GET /counters."),
        }
    }

    fn in_use(&self) -> InUse {
        InUse {
            version: self.shared.table.load().version,
            busy: self.shared.draining.busy(),
            unsaved: self.unsaved.load(Relaxed),
        }
    }

    /// Waits until one of the dynos in the body has no request in progress.
    async fn wait(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let dynos: Vec<SocketAddr> = match receive(request, DYNOS_BYTES, "list of addresses").await {
            Ok((dynos, _)) => dynos,
            Err(refusal) => return *refusal,
        };
        // The response contains the outcome.
        let _ = tokio::time::timeout(DRAINED, self.shared.draining.until_one_is_free(&dynos)).await;
        json(&self.in_use())
    }

    async fn put(self: &Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (routes, body): (Routes, Bytes) = match receive(request, ROUTES_BYTES, "routing table").await {
            Ok(received) => received,
            Err(refusal) => return *refusal,
        };
        let writing = self.writing.clone().lock_owned().await;
        self.shared.apply(&routes);
        let control = self.clone();
        let write = move || {
            control.write(&body);
            // Not before, even if the sender has given up: the next table would be written at the same time.
            drop(writing);
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(()) => json(&self.in_use()),
            Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// Writes the table in use to disk. A failure is logged once until a table can be written again.
    fn write(&self, body: &[u8]) {
        let saved = save_with_room(&self.shared, body);
        let was_unsaved = self.unsaved.swap(saved.is_err(), Relaxed);
        match saved {
            Err(error) if !was_unsaved => tracing::error!(
                "could not {error:#}. The routing table is in use, but the router would lose it in a restart. Free some \
                 space if the disk is full; the table is written again within a minute"
            ),
            Ok(()) if was_unsaved => tracing::info!("the routing table is on disk again"),
            _ => {}
        }
    }
}

/// Reads a body of at most `limit` bytes. Returns it parsed and unparsed, or the error response.
async fn receive<T: DeserializeOwned>(
    request: Request<Incoming>,
    limit: usize,
    what: &str,
) -> Result<(T, Bytes), Box<Response<Full<Bytes>>>> {
    let bad = |sentence: String| Box::new(refuse(StatusCode::BAD_REQUEST, &sentence));
    let body = Limited::new(request.into_body(), limit).collect().await;
    let body = body.map_err(|error| bad(format!("The body was interrupted: {error}")))?.to_bytes();
    let parsed =
        serde_json::from_slice(&body).map_err(|error| bad(format!("The body is not a valid {what}: {error}")))?;
    Ok((parsed, body))
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).expect("our own types can be written as JSON");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refuse(status: StatusCode, sentence: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(sentence.to_owned())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use super::*;
    use crate::{Config, Router};

    #[derive(Clone, Default)]
    struct Log(Arc<StdMutex<Vec<u8>>>);

    impl Log {
        fn count(&self, text: &str) -> usize {
            String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_table_that_cannot_be_written_is_logged_once_until_one_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new("127.0.0.1:0".parse().unwrap(), dir.path(), dir.path().join("run"));
        let shared = Router::bind(config).unwrap().shared;
        let served = Served { shared, writing: Arc::default(), unsaved: AtomicBool::new(false) };
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _logs = tracing::subscriber::set_default(subscriber);
        let obstacle = table_dir(dir.path()).join("routes.json.new");
        for times in 1..=2 {
            fs::create_dir(&obstacle).unwrap();
            for _ in 0..3 {
                served.write(b"{}");
                assert_eq!(log.count("The routing table is in use"), times);
            }
            fs::remove_dir(&obstacle).unwrap();
            for _ in 0..3 {
                served.write(b"{}");
                assert_eq!(log.count("the routing table is on disk again"), times);
            }
        }
    }
}
