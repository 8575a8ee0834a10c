//! Connections: accepted until SIGTERM, then finished.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::files::Site;
use crate::respond::respond;

/// Threads for reading files; together with those for connections, far below the limit of a small dyno.
const FILE_THREADS: usize = 32;
const CONNECTION_THREADS: usize = 2;
const HEAD_BYTES: usize = 32 << 10;
/// For receiving the head of a request, including the wait for it. Longer than the router keeps an idle connection, so
/// that none is closed just as a request is sent.
const HEAD_LIMIT: Duration = Duration::from_secs(120);
/// After SIGTERM.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// Serves until SIGTERM, then completes the requests that have begun.
pub fn run(config: Config, port: u16) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONNECTION_THREADS)
        .max_blocking_threads(FILE_THREADS)
        .enable_all()
        .build()?;
    runtime.block_on(serve(config, port))
}

async fn serve(config: Config, port: u16) -> io::Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let listener = listen(port)?;
    let site = Arc::new(Site::new(config));
    println!("Serving {} on port {port}", site.root().display());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_BYTES);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.recv() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: wait until some are closed.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        // If this fails, responses are only slower.
        let _ = stream.set_nodelay(true);
        let site = Arc::clone(&site);
        let service = service_fn(move |request| {
            let site = Arc::clone(&site);
            async move { Ok::<_, Infallible>(respond(site, request).await) }
        });
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        // An error concerns only this client, which is faulty or disconnected.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    let _ = timeout(DRAIN_LIMIT, connections.shutdown()).await;
    Ok(())
}

/// On all addresses, of both families where there are two.
fn listen(port: u16) -> io::Result<tokio::net::TcpListener> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let listener = TcpListener::bind(any).or_else(|_| TcpListener::bind(("0.0.0.0", port)))?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}
