//! One thread per core, each with its own connections.
//!
//! A request and everything that it uses stay on one thread: waking another thread would cost more than the request
//! itself.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Shared;
use crate::open_connection::OpenConnection;
use crate::{connection, this_worker};

type Accepted = (TcpStream, SocketAddr, OpenConnection);

/// The threads that serve clients. Dropping them closes open connections.
pub(crate) struct Workers {
    threads: Vec<(UnboundedSender<Accepted>, JoinHandle<()>)>,
    next: usize,
    end: DropGuard,
}

impl Workers {
    pub(crate) fn start(shared: &Arc<Shared>) -> anyhow::Result<Workers> {
        let end = CancellationToken::new();
        let mut threads = Vec::new();
        for number in 0..shared.config.workers {
            let (sender, receiver) = unbounded_channel();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a worker")?;
            let (shared, end) = (shared.clone(), end.clone());
            let work = move || {
                this_worker::set_number(number);
                runtime.block_on(serve(shared, receiver, end));
            };
            let thread = std::thread::Builder::new()
                .name(format!("router {number}"))
                .spawn(work)
                .context("start a worker's thread")?;
            threads.push((sender, thread));
        }
        Ok(Workers { threads, next: 0, end: end.drop_guard() })
    }

    /// Passes a connection to the next worker, round-robin.
    pub(crate) fn give(&mut self, accepted: Accepted) {
        self.next = (self.next + 1) % self.threads.len();
        if self.threads[self.next].0.send(accepted).is_err() {
            tracing::error!("a worker thread has ended; its connections are lost");
        }
    }

    /// Closes open connections and waits for the threads. Blocks until they have ended.
    pub(crate) fn stop(self) {
        drop(self.end);
        for (_, thread) in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, mut accepted: UnboundedReceiver<Accepted>, end: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some((stream, peer, opened)) = accepted.recv() => {
                connections.spawn(connection::serve(shared.clone(), stream, peer, opened));
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "a connection panicked");
                }
            }
            () = end.cancelled() => return,
        }
    }
}
