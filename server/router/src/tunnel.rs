//! Upgraded connections: bytes in both directions until one side ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use crate::Shared;
use crate::codes::Code;
use crate::relay::{Body, Holding};
use crate::wire::Wire;

const BUFFER: usize = 16 * 1024;
/// Time limit for the client's data after the dyno has closed its side.
const LINGER: Duration = Duration::from_secs(2);

/// An upgraded connection, mostly a websocket.
pub(crate) struct Tunnel {
    pub(crate) client: OnUpgrade,
    pub(crate) wire: Box<Wire>,
    pub(crate) idle: Option<Duration>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) holding: Holding,
}

impl Tunnel {
    /// Continues in a separate task. Returns the body of the response 101.
    pub(crate) fn start(self) -> Body {
        tokio::spawn(self.run());
        Body::Nothing
    }

    async fn run(self) {
        let Tunnel { client, wire, idle, shared, mut holding } = self;
        let traffic = Traffic::new();
        let code = tokio::select! {
            biased;
            () = shared.tunnels.cancelled() => None,
            () = traffic.silence(idle) => Some(Code::H15),
            code = join(client, wire, &traffic) => code,
        };
        if let Holding::App(record) = &mut holding {
            record.bytes = traffic.bytes_out.load(Relaxed);
            let bytes_in = &record.app.stats.bytes_in;
            bytes_in.fetch_add(traffic.bytes_in.load(Relaxed), Relaxed);
            record.finish(code);
        }
    }
}

/// Copies bytes until both directions have ended. However its two sides end a tunnel, that is never an error of the
/// router.
async fn join(client: OnUpgrade, wire: Box<Wire>, traffic: &Traffic) -> Option<Code> {
    let Ok(client) = client.await else {
        return Some(Code::H27);
    };
    let (socket, first) = wire.into_socket().await;
    let (client_read, mut client_write) = tokio::io::split(TokioIo::new(client));
    let (dyno_read, dyno_write) = tokio::io::split(socket);
    if !first.is_empty() {
        traffic.note(&traffic.bytes_out, first.len());
        client_write.write_all(&first).await.ok()?;
    }
    let up = traffic.carry(client_read, dyno_write, &traffic.bytes_in);
    let down = traffic.carry(dyno_read, client_write, &traffic.bytes_out);
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        ended = &mut up => {
            // A client may close its sending side and then listen for as long as it likes.
            if ended.is_ok() {
                let _ = down.await;
            }
        }
        ended = &mut down => {
            if ended.is_ok() {
                tokio::select! { _ = up => {}, () = sleep(LINGER) => {} }
            }
        }
    }
    None
}

struct Traffic {
    start: Instant,
    /// The time of the last byte, in milliseconds after the start.
    last_ms: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Traffic {
    fn new() -> Traffic {
        Traffic {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    fn note(&self, counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Relaxed);
        self.last_ms.store(self.start.elapsed().as_millis() as u64, Relaxed);
    }

    async fn carry(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        counter: &AtomicU64,
    ) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = from.read(&mut buffer).await?;
            if n == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..n]).await?;
            to.flush().await?;
            self.note(counter, n);
        }
    }

    /// Returns when no byte was copied for `idle`.
    async fn silence(&self, idle: Option<Duration>) {
        let Some(idle) = idle else {
            return std::future::pending().await;
        };
        loop {
            let last = self.start + Duration::from_millis(self.last_ms.load(Relaxed));
            if last.elapsed() >= idle {
                return;
            }
            sleep_until(last + idle).await;
        }
    }
}
