//! One connection of a client: its PROXY header, its slot, and its requests.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Shared;
use crate::client::{Client, Phase};
use crate::client_slots::{self, ClientSlot, Full};
use crate::client_socket::ClientSocket;
use crate::entry;
use crate::open_connection::{NewConnection, OpenConnection};
use crate::pages::Page;
use crate::proxy_protocol::{self, Introduction};

/// The longest head of a request.
const HEAD_BYTES: usize = 64 * 1024;
/// How long a rejected client has to read the reason.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a client until it has no more requests.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    mut stream: TcpStream,
    peer: SocketAddr,
    (opened, new): (OpenConnection, NewConnection),
) {
    let Some((ip, first)) = introduce(&shared, &mut stream, peer).await else { return };
    let client = Arc::new(Client::new(ip, shared.config.trusted.contains(ip)));
    client.set_socket(Some(stream.as_raw_fd()));
    let Some((stream, slot)) = with_slot(&shared, stream, &client).await else { return };
    let socket = ClientSocket::new(stream, first, client.clone(), shared.config.timeouts, (slot, opened));
    answer_all(&shared, &client, socket, new).await;
}

/// The client, and bytes that were read already. `None` if a trusted peer sends no PROXY header.
async fn introduce(shared: &Shared, stream: &mut TcpStream, peer: SocketAddr) -> Option<(IpAddr, Bytes)> {
    let ip = peer.ip().to_canonical();
    if !shared.config.proxy_protocol || !shared.config.trusted.contains(ip) {
        return Some((ip, Bytes::new()));
    }
    match timeout(shared.config.timeouts.header, proxy_protocol::read(stream)).await {
        Ok(Ok(Introduction { ip: client, rest })) => Some((client.unwrap_or(ip), rest)),
        // Nothing was sent, as by a port scan or health check.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
        _ => {
            shared.notices.unintroduced.count(|n| {
                tracing::warn!(
                    "closed {n} connections of trusted proxies that did not start with a PROXY header, the last of {ip}"
                );
            });
            None
        }
    }
}

/// Takes a slot for a connection. A client without one gets an error page, unless there are too many of them.
async fn with_slot(shared: &Arc<Shared>, stream: TcpStream, client: &Arc<Client>) -> Option<(TcpStream, ClientSlot)> {
    // A proxy opens connections for many clients.
    let ip = (!client.trusted).then_some(client.ip);
    let take = || shared.slots.take(ip, client, |n| shared.note_evicted(n, client.ip));
    if let Ok(slot) = take() {
        return Some((stream, slot));
    }
    let waiting = shared.hall.try_acquire();
    let waited = match &waiting {
        Ok(_) => client_slots::wait_for(take).await,
        Err(_) => Err(Full::All),
    };
    let Err(full) = waited else { return waited.ok().map(|slot| (stream, slot)) };
    client.set_socket(None);
    shared.note_refused(client.ip);
    if waiting.is_ok() {
        refuse(stream, full).await;
    }
    None
}

/// Responds that there is no slot, and closes.
async fn refuse(mut stream: TcpStream, full: Full) {
    let text = Page::full(full).bytes();
    let say = async {
        stream.write_all(&text).await?;
        stream.shutdown().await?;
        // Closing a socket with unread data would reset the connection before the response arrives.
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, say).await;
}

async fn answer_all(shared: &Arc<Shared>, client: &Arc<Client>, socket: ClientSocket, new: NewConnection) {
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
    let (mut is_notified, mut new) = (false, Some(new));
    let ended = poll_fn(|cx| {
        client.begin_turn();
        let polled = connection.as_mut().poll(cx);
        // Its request is counted by now.
        drop(new.take());
        if polled.is_ready() || is_notified || !shared.stopping.load(Relaxed) {
            return polled;
        }
        // Not before the poll: a request that has arrived is served.
        is_notified = true;
        connection.as_mut().graceful_shutdown();
        connection.as_mut().poll(cx)
    })
    .await;
    match ended {
        // Only heads are parsed here; hyper has answered already.
        Err(error) if error.is_parse() && client.phase() != Phase::Busy => shared.note_malformed(client.ip, &error),
        Err(error) => tracing::debug!(%error, ip = %client.ip, "a connection ended early"),
        Ok(()) => {}
    }
}
