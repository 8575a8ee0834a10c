//! Open files: how many this process may have, and what they are for.
//!
//! A part is for clients and a part for connections to dynos and the server. The rest is a reserve, so that at the limit
//! the spool can begin a new file, a table can be saved and the control socket accepts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The reserve, in addition to what is open when the router starts, and that of each worker: its reactor, its listeners,
/// and a connection that it has just accepted.
const RESERVE: usize = 48;
const PER_WORKER: usize = 12;
/// Connections beyond those with a slot: waiting for one, or being rejected.
const HALL: usize = 512;
/// The minimum number of clients, however low the limit is.
const LEAST: usize = 16;
/// Assumed if the system does not say.
const USUAL: usize = 1024;
const OPEN_AT_START: usize = 32;

/// The shares of the files that this process can open.
pub(crate) struct Files {
    /// Connections of clients that are served.
    pub(crate) clients: usize,
    /// Connections of clients beyond these.
    pub(crate) hall: usize,
    /// Connections to dynos and the server. Each client needs one at most; the others can be idle.
    backends: usize,
    backends_open: AtomicUsize,
}

/// A connection to a dyno or the server, counted until this is dropped.
pub(crate) struct BackendFile(Arc<Files>);

impl Files {
    /// Divides the limit of this process. At most `clients` connections of clients are needed.
    pub(crate) fn of_process(workers: usize, clients: usize) -> Files {
        let limit = file_limit().map_or(USUAL, |limit| limit.rlim_cur as usize);
        let open = std::fs::read_dir("/proc/self/fd").map_or(OPEN_AT_START, Iterator::count);
        Files::divide(limit.saturating_sub(open + RESERVE + PER_WORKER * workers), clients)
    }

    fn divide(available: usize, wanted: usize) -> Files {
        let hall = HALL.min(available / 4);
        // A little less than half, since a client that is evicted for another one takes a moment to leave.
        let clients = ((available - hall).saturating_mul(49) / 100).min(wanted).max(LEAST);
        let backends = available.saturating_sub(hall + clients).max(clients);
        Files { clients, hall, backends, backends_open: AtomicUsize::new(0) }
    }

    /// Counts a connection that is about to be opened.
    pub(crate) fn open_backend(self: &Arc<Self>) -> BackendFile {
        self.backends_open.fetch_add(1, Relaxed);
        BackendFile(self.clone())
    }

    /// Whether there are more connections to backends than their share.
    pub(crate) fn is_short(&self) -> bool {
        self.backends_open.load(Relaxed) > self.backends
    }
}

impl Drop for BackendFile {
    fn drop(&mut self) {
        self.0.backends_open.fetch_sub(1, Relaxed);
    }
}

/// Whether this process, or the system, has no file left.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Raises this process's limit of open files to what the system allows: root can exceed the limit that it was started
/// with.
pub fn raise_file_limit() {
    const MOST: libc::rlim_t = 1 << 20;
    let limit = |limit: libc::rlimit| {
        // SAFETY: the call only reads the struct on our stack.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0 }
    };
    let Some(found) = file_limit() else { return };
    let more = found.rlim_max < MOST && limit(libc::rlimit { rlim_cur: MOST, rlim_max: MOST });
    if !more {
        limit(libc::rlimit { rlim_cur: found.rlim_max, ..found });
    }
}

fn file_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call only writes the struct on our stack.
    (unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0).then_some(limit)
}

#[cfg(test)]
impl Files {
    /// Shares without clients, for this number of connections to backends.
    pub(crate) fn for_backends(backends: usize) -> Arc<Files> {
        Arc::new(Files { clients: 0, hall: 0, backends, backends_open: AtomicUsize::new(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_within_the_limit_and_every_client_has_a_backend() {
        for available in [200, 256, 940, 4096, 65_000, 1 << 20] {
            for wanted in [100, 1000, 100_000, usize::MAX] {
                let files = Files::divide(available, wanted);
                let total = files.clients + files.hall + files.backends;
                assert_eq!(total, available, "{available} for {wanted}");
                // Includes those that are being evicted.
                assert!(files.backends >= files.clients + files.clients.div_ceil(100));
                assert!(files.clients <= wanted);
            }
        }
        let none = Files::divide(0, 100_000);
        assert_eq!((none.clients, none.backends, none.hall), (LEAST, LEAST, 0));
        assert_eq!(Files::divide(1 << 20, 1).clients, LEAST);
    }

    #[test]
    fn connections_count_until_they_are_dropped() {
        let files = Files::for_backends(1);
        let first = files.open_backend();
        assert!(!files.is_short());
        let second = files.open_backend();
        assert!(files.is_short());
        drop(first);
        assert!(!files.is_short());
        drop(second);
    }
}
