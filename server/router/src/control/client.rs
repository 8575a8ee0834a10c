//! The server's side of the control socket.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::counters::Counters;
use crate::routes::Routes;

use super::{DRAINED, InUse, SOCKET};

const LIMIT: Duration = Duration::from_secs(10);
/// The time limit of requests that the router answers immediately. The supervisor blocks on these in each run.
const SHORT_LIMIT: Duration = Duration::from_secs(2);

/// Why a request to the router failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No router is listening. Retry after its restart.
    #[error("The router is not responding on {}. It is started by `wharfd up`; see its log.", socket.display())]
    Unreachable {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It did not respond in time, or not completely.
    #[error("The router on {} closed the connection during its response.", socket.display())]
    Interrupted {
        socket: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It responded with an error.
    #[error("The router rejected the request: {message}")]
    Refused { status: u16, message: String },
}

/// A client of the router of a run directory. It keeps no connection open, so it survives restarts of both sides.
#[derive(Clone, Debug)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// For the router whose RUN directory is `run`.
    pub fn new(run: &Path) -> Control {
        Control { socket: run.join(SOCKET) }
    }

    /// Replaces the routing table. When this returns, the new one is in use, and dynos that are not in it get no further
    /// requests. It is on disk as well, unless it is [`unsaved`](InUse::unsaved).
    pub async fn put(&self, routes: &Routes) -> Result<InUse, Error> {
        let body = serde_json::to_vec(routes).map_err(|e| self.interrupted(e))?;
        self.send(Method::PUT, "/routes", body, LIMIT).await
    }

    /// The table in use, and what is in progress outside of it.
    pub async fn in_use(&self) -> Result<InUse, Error> {
        self.send(Method::GET, "/routes", Vec::new(), SHORT_LIMIT).await
    }

    /// The version of the table in use; 0 for a router that never had one.
    pub async fn version(&self) -> Result<u64, Error> {
        Ok(self.in_use().await?.version)
    }

    /// Waits until one of `dynos`, which were busy in [`InUse`], has no request in progress any more, for 30 seconds at
    /// most. Fails when the router ends meanwhile.
    pub async fn drained(&self, dynos: &[SocketAddr]) -> Result<InUse, Error> {
        let body = serde_json::to_vec(dynos).map_err(|e| self.interrupted(e))?;
        self.send(Method::POST, "/drained", body, DRAINED + LIMIT).await
    }

    /// Counts since the router's start.
    pub async fn counters(&self) -> Result<Counters, Error> {
        self.send(Method::GET, "/counters", Vec::new(), LIMIT).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<T, Error> {
        tokio::time::timeout(limit, self.exchange(method, path, body))
            .await
            .map_err(|elapsed| self.interrupted(elapsed))?
    }

    async fn exchange<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, Error> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| Error::Unreachable { socket: self.socket.clone(), source })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.interrupted(e))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "router")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| self.interrupted(e))?;
        let response = sender.send_request(request).await.map_err(|e| self.interrupted(e))?;
        let status = response.status();
        let collected = response.into_body().collect().await;
        connection.abort();
        let answer = collected.map_err(|e| self.interrupted(e))?.to_bytes();
        if !status.is_success() {
            return Err(Error::Refused {
                status: status.as_u16(),
                message: String::from_utf8_lossy(&answer).into_owned(),
            });
        }
        serde_json::from_slice(&answer).map_err(|e| self.interrupted(e))
    }

    fn interrupted(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Interrupted { socket: self.socket.clone(), source: source.into() }
    }
}
