//! Idle connections to all dynos and to the server.
//!
//! Each worker has a list of its own, so that a connection stays on the thread that waits for it. Of a backend, the
//! youngest connection is used first. If files or memory run short, the one that has been unused for longest is closed,
//! whatever backend it belongs to: of ten thousand rarely requested apps, the most frequently requested ones keep their
//! connections.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::files::{Files, is_out_of_files};
use crate::lru::Lru;
use crate::socket::Address;
use crate::this_worker;
use crate::wire::Wire;

/// Idle connections kept per backend and worker.
const PER_BACKEND: usize = 256;
/// The memory of a worker's idle connections: some 1,600 of them, or fewer after large responses.
const WORKER_BYTES: usize = 32 * 1024 * 1024;
/// Idle connections older than this are closed.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// The number of connections closed together when the system has no more files.
const BATCH: usize = 64;
/// Number and interval of attempts to connect without a free file.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// Connections that a sweep looks at before it releases the worker's list.
const SWEEP: usize = 64;

/// The idle connections of all workers, and the bound of all open ones.
pub(crate) struct Pool {
    files: Arc<Files>,
    workers: Box<[Mutex<Worker>]>,
    worker_bytes: usize,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Worker {
    lru: Lru<Idle>,
    bytes: usize,
}

struct Idle {
    /// Boxed, because moving it by value costs more.
    wire: Box<Wire>,
    /// Its memory when it was returned.
    bytes: usize,
}

/// The backends by number. Numbers are reused, because the lists have an entry for each.
#[derive(Default)]
struct Numbers {
    next: usize,
    free: Vec<usize>,
}

/// One backend's part of the pool. Dropping it closes its idle connections.
pub(crate) struct BackendPool {
    pool: Arc<Pool>,
    number: usize,
}

impl Pool {
    pub(crate) fn new(workers: usize, files: Arc<Files>) -> Arc<Pool> {
        Arc::new(Pool::limited(workers, files, WORKER_BYTES))
    }

    fn limited(workers: usize, files: Arc<Files>, worker_bytes: usize) -> Pool {
        let workers = (0..workers.max(1)).map(|_| Mutex::default()).collect();
        Pool { files, workers, worker_bytes, numbers: Mutex::default() }
    }

    /// A part for a new backend.
    pub(crate) fn add_backend(self: &Arc<Self>) -> BackendPool {
        let mut numbers = lock(&self.numbers);
        let number = numbers.free.pop().unwrap_or_else(|| {
            numbers.next += 1;
            numbers.next - 1
        });
        BackendPool { pool: self.clone(), number }
    }

    async fn connect(&self, address: &Address) -> io::Result<Box<Wire>> {
        let mut tries = 0;
        loop {
            let file = self.files.open_backend();
            while self.files.is_short() && self.close_oldest() {}
            tries += 1;
            match Wire::connect(address, file).await {
                Err(error) if is_out_of_files(&error) && tries < TRIES => {
                    if !self.make_room() {
                        // The end of a request frees one, too.
                        sleep(PAUSE).await;
                    }
                }
                result => return result,
            }
        }
    }

    /// Closes some idle connections, those that were unused for longest. Returns whether there were any.
    pub(crate) fn make_room(&self) -> bool {
        (0..BATCH).take_while(|_| self.close_oldest()).count() > 0
    }

    /// Closes idle connections that the other side has closed, or that were unused for long.
    pub(crate) fn sweep(&self) {
        for worker in &self.workers {
            let mut start = 0;
            while let Some(end) = sweep_part(worker, start) {
                start = end;
            }
        }
    }

    fn close_oldest(&self) -> bool {
        let since = |worker: &Mutex<Worker>| lock(worker).lru.oldest().map(|idle| idle.wire.idle_since);
        let oldest = self.workers.iter().filter_map(|worker| Some((since(worker)?, worker))).min_by_key(|(at, _)| *at);
        let Some((_, worker)) = oldest else { return false };
        let closed = lock(worker).take(Lru::pop_oldest);
        // It may have been taken since, which makes room as well.
        drop(closed);
        true
    }
}

/// Sweeps some of a worker's connections. Returns where to continue.
fn sweep_part(worker: &Mutex<Worker>, start: usize) -> Option<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    // Closed after the list has been released.
    let mut closed = Vec::new();
    let mut worker = lock(worker);
    let end = worker.lru.slots().min(start + SWEEP);
    for at in start..end {
        let has_ended = |idle: &mut Idle| idle.wire.idle_since.elapsed() >= IDLE_TIME || idle.wire.drive(&mut cx);
        if worker.lru.item_mut(at).is_some_and(has_ended) {
            closed.extend(worker.take(|lru| lru.remove(at)));
        }
    }
    (end < worker.lru.slots()).then_some(end)
}

impl Worker {
    fn take(&mut self, take: impl FnOnce(&mut Lru<Idle>) -> Option<Idle>) -> Option<Box<Wire>> {
        let idle = take(&mut self.lru)?;
        self.bytes -= idle.bytes;
        Some(idle.wire)
    }
}

impl BackendPool {
    /// Connects to the backend, with the system's timeout. Idle connections are closed for it if files are short.
    pub(crate) async fn connect(&self, address: &Address) -> io::Result<Box<Wire>> {
        self.pool.connect(address).await
    }

    /// Takes the backend's youngest idle connection of this worker, if it was used within `max_age`.
    pub(crate) fn take(&self, max_age: Duration) -> Option<Box<Wire>> {
        let mut worker = self.own();
        match worker.lru.youngest_of(self.number)?.wire.idle_since.elapsed() > max_age {
            true => None,
            false => worker.take(|lru| lru.pop_youngest_of(self.number)),
        }
    }

    /// Keeps a connection for the next request, possibly instead of others.
    pub(crate) fn keep(&self, mut wire: Box<Wire>) {
        wire.idle_since = Instant::now();
        let bytes = wire.bytes();
        // Closed after the list has been released.
        let mut closed = Vec::new();
        let mut worker = self.own();
        if worker.lru.count(self.number) >= PER_BACKEND {
            return;
        }
        worker.lru.push(self.number, Idle { wire, bytes });
        worker.bytes += bytes;
        while worker.bytes > self.pool.worker_bytes {
            closed.extend(worker.take(Lru::pop_oldest));
        }
    }

    /// Closes the backend's idle connections.
    pub(crate) fn close(&self) {
        for worker in &self.pool.workers {
            loop {
                let closed = lock(worker).take(|lru| lru.pop_youngest_of(self.number));
                if closed.is_none() {
                    break;
                }
            }
        }
    }

    fn own(&self) -> MutexGuard<'_, Worker> {
        lock(&self.pool.workers[this_worker::number()])
    }
}

impl Drop for BackendPool {
    fn drop(&mut self) {
        self.close();
        lock(&self.pool.numbers).free.push(self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Backends at an address that accepts connections, each with an idle one.
    async fn with_idle(pool: Pool, backends: usize) -> (TcpListener, Address, Vec<BackendPool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = Address::Tcp(listener.local_addr().expect("an address"));
        let pool = Arc::new(pool);
        let mut all = Vec::new();
        for _ in 0..backends {
            let backend = pool.add_backend();
            backend.keep(backend.connect(&address).await.expect("a connection"));
            all.push(backend);
        }
        (listener, address, all)
    }

    fn idle(backends: &[BackendPool]) -> Vec<usize> {
        backends.iter().map(|backend| backend.own().lru.count(backend.number)).collect()
    }

    #[tokio::test]
    async fn the_connection_unused_for_longest_is_closed_for_another_one() {
        let (_listener, address, backends) = with_idle(Pool::limited(1, Files::for_backends(3), usize::MAX), 3).await;
        backends[0].keep(backends[0].take(LONG).expect("an idle connection"));
        let used = backends[2].connect(&address).await.expect("a connection");
        assert_eq!(idle(&backends), [1, 0, 1]);
        let _more = backends[2].connect(&address).await.expect("a connection");
        let _most = backends[2].connect(&address).await.expect("a connection");
        assert_eq!(idle(&backends), [0, 0, 0]);
        // Connections in use stay open, and do not prevent new ones: the number of clients is limited elsewhere.
        let _beyond = backends[2].connect(&address).await.expect("a connection");
        drop(used);
        backends[1].keep(backends[1].connect(&address).await.expect("a connection"));
        assert_eq!(idle(&backends), [0, 1, 0]);
    }

    #[tokio::test]
    async fn idle_connections_have_a_bound_in_bytes() {
        let (_listener, _, backends) = with_idle(Pool::limited(1, Files::for_backends(100), 40_000), 5).await;
        let left: usize = idle(&backends).iter().sum();
        assert!((1..5).contains(&left), "{left}");
        assert_eq!(idle(&backends)[4], 1);
    }

    #[tokio::test]
    async fn a_backend_that_is_gone_leaves_nothing() {
        let (_listener, address, mut backends) =
            with_idle(Pool::limited(1, Files::for_backends(100), usize::MAX), 3).await;
        let pool = backends[0].pool.clone();
        backends.remove(1);
        let next = pool.add_backend();
        assert_eq!((next.number, next.take(LONG).is_none()), (1, true));
        next.keep(next.connect(&address).await.expect("a connection"));
        backends.push(next);
        assert_eq!(idle(&backends), [1, 1, 1]);
        assert!(pool.make_room());
        assert!(!pool.make_room());
        assert_eq!(lock(&pool.workers[0]).bytes, 0);
    }
}
