//! One thread per core, each with its own connections.
//!
//! A request stays on one thread, with everything that it uses: waking another thread would cost more than the request
//! itself. So each worker also accepts its connections itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use spool::Pause;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{coop, yield_now};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Shared;
use crate::files::is_out_of_files;
use crate::listen::{BACKLOG, Listeners, Ports, is_of_a_connection};
use crate::open_connection::{NewConnection, OpenConnection};
use crate::{connection, this_worker};

/// Connections that a worker accepts before those that it has are served.
const BATCH: usize = 16;
/// How many connections a worker can have more than the average. One that has even more leaves the next ones to the
/// others: a connection stays with its worker, for hours perhaps.
const AHEAD: usize = 8;
/// The pauses of a worker that accepts nothing, the first and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(50);

/// The threads that serve clients. Dropping them closes open connections.
pub(crate) struct Workers {
    threads: Vec<JoinHandle<()>>,
    closing: CancellationToken,
    /// Ends when all workers have closed their listeners.
    listening: Receiver<()>,
    end: DropGuard,
}

/// The signals to a worker.
struct Signals {
    /// Stop accepting connections.
    closing: CancellationToken,
    /// Dropped when it no longer accepts connections.
    listening: Sender<()>,
    /// Exit.
    end: CancellationToken,
}

impl Workers {
    /// Starts them. The ports are closed when no worker accepts connections any more.
    pub(crate) fn start(shared: &Arc<Shared>, ports: Ports) -> anyhow::Result<Workers> {
        let (closing, end) = (CancellationToken::new(), CancellationToken::new());
        let (sender, listening) = channel(1);
        let mut threads = Vec::new();
        for number in 0..shared.config.workers {
            let runtime = Builder::new_current_thread().enable_all().build().context("start a worker")?;
            let listeners = ports.open(&runtime).context("serve on the port")?;
            let signals = Signals { closing: closing.clone(), listening: sender.clone(), end: end.clone() };
            threads.push(start(number, runtime, shared.clone(), listeners, signals)?);
        }
        Ok(Workers { threads, closing, listening, end: end.drop_guard() })
    }

    /// Closes the ports. Clients that have connected by then are still served.
    pub(crate) async fn close_ports(&mut self) {
        self.closing.cancel();
        // Nothing is ever sent.
        self.listening.recv().await;
    }

    /// Closes open connections and waits for the threads. Blocks until they have ended.
    pub(crate) fn stop(self) {
        drop(self.end);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

fn start(
    number: usize,
    runtime: Runtime,
    shared: Arc<Shared>,
    listeners: Listeners,
    signals: Signals,
) -> anyhow::Result<JoinHandle<()>> {
    let work = move || {
        this_worker::set_number(number);
        runtime.block_on(serve(shared, listeners, signals));
    };
    std::thread::Builder::new().name(format!("router {number}")).spawn(work).context("start a worker's thread")
}

async fn serve(shared: Arc<Shared>, listeners: Listeners, signals: Signals) {
    tokio::select! {
        () = accept(&shared, &listeners) => {}
        () = signals.closing.cancelled() => {}
        () = signals.end.cancelled() => return,
    }
    accept_queued(&shared, &listeners).await;
    drop((listeners, signals.listening));
    signals.end.cancelled().await;
}

/// Accepts clients, forever. If that fails, they stay in the queue of the port.
async fn accept(shared: &Arc<Shared>, listeners: &Listeners) {
    let mut accepted: usize = 0;
    loop {
        wait_for_turn(shared).await;
        match listeners.accept().await {
            Ok((stream, peer)) => take(shared, stream, peer),
            Err(error) if is_of_a_connection(&error) => {}
            Err(error) if is_out_of_files(&error) => {
                shared.note_out_of_files();
                if !shared.pool.make_room() {
                    sleep(PAUSE).await;
                }
            }
            Err(error) => {
                tracing::error!(%error, "could not accept a connection");
                sleep(PAUSE).await;
            }
        }
        accepted += 1;
        if accepted.is_multiple_of(BATCH) {
            yield_now().await;
        }
    }
}

/// Waits while there are too many connections in all, or on this worker.
async fn wait_for_turn(shared: &Shared) {
    let mut pause = Pause::between(FIRST_PAUSE, PAUSE);
    loop {
        let open = shared.connections.load(Relaxed);
        let is_full = open >= shared.files.clients + shared.files.hall;
        if !is_full && this_worker::connections() <= open / shared.config.workers + AHEAD {
            return;
        }
        sleep(pause.take()).await;
    }
}

/// Accepts clients that have already connected, which would otherwise be reset.
async fn accept_queued(shared: &Arc<Shared>, listeners: &Listeners) {
    // The reactor may not have noticed the last ones yet.
    yield_now().await;
    for _ in 0..BACKLOG {
        let accepted = tokio::select! {
            biased;
            accepted = coop::unconstrained(listeners.accept()) => accepted,
            () = std::future::ready(()) => return,
        };
        let Ok((stream, peer)) = accepted else { return };
        take(shared, stream, peer);
    }
}

fn take(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let counted = (OpenConnection::new(shared), NewConnection::new(shared));
    tokio::spawn(connection::serve(shared.clone(), stream, peer, counted));
}
