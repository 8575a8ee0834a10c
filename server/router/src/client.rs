//! A client's connection: its origin, its state, and since when it has made no progress.

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use http::HeaderValue;

use crate::origin;
use crate::timer::now_ms;

/// How long a body or a reader can pause before it is evicted for another client of the same address.
const PAUSE_MS: u64 = 250;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests.
    Waiting,
    /// The head is incomplete.
    Head,
    /// A request is being served, with its own timeouts.
    Busy,
}

/// State shared by a connection and the request on it.
pub(crate) struct Client {
    /// The address of the peer, or the one in its PROXY header.
    pub(crate) ip: IpAddr,
    /// The same, in the form for X-Forwarded-For.
    pub(crate) address: HeaderValue,
    /// Whether its forwarded headers are trusted.
    pub(crate) trusted: bool,
    phase: AtomicU8,
    /// Requests in progress, and bodies being discarded.
    busy: AtomicUsize,
    /// Since when the router has been waiting for the client (for a complete request, for a body, or for it to read),
    /// in milliseconds; 0 if it is not.
    no_request: AtomicU64,
    no_body: AtomicU64,
    no_reader: AtomicU64,
    stalled: AtomicBool,
    evicted: AtomicBool,
    /// Whether one of its requests had a body.
    sent_body: AtomicBool,
    /// How many times its connection was polled.
    turns: AtomicU64,
    /// The socket, while it is open.
    socket: Mutex<Option<RawFd>>,
}

impl Client {
    pub(crate) fn new(ip: IpAddr, trusted: bool) -> Client {
        Client {
            ip,
            address: origin::text(ip),
            trusted,
            phase: AtomicU8::new(Phase::Waiting as u8),
            busy: AtomicUsize::new(0),
            no_request: AtomicU64::new(now_ms().max(1)),
            no_body: AtomicU64::new(0),
            no_reader: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            sent_body: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            socket: Mutex::new(None),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Waiting,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Records that its connection is polled.
    pub(crate) fn begin_turn(&self) {
        self.turns.fetch_add(1, Relaxed);
    }

    /// The number of the current turn of its connection.
    pub(crate) fn turn(&self) -> u64 {
        self.turns.load(Relaxed)
    }

    /// Records whether the router is waiting for a request's body.
    pub(crate) fn owes_body(&self, owes: bool) {
        note(&self.no_body, owes);
    }

    /// Records that a request has a body.
    pub(crate) fn sends_body(&self) {
        self.sent_body.store(true, Relaxed);
    }

    /// Whether what it sends may be the rest of a body for which nobody waits any more.
    pub(crate) fn has_sent_body(&self) -> bool {
        self.sent_body.load(Relaxed)
    }

    /// Records whether the client is reading.
    pub(crate) fn takes_nothing(&self, nothing: bool) {
        note(&self.no_reader, nothing);
    }

    /// Records that it was closed because of inactivity.
    pub(crate) fn stall(&self) {
        self.stalled.store(true, Relaxed);
    }

    /// Whether it was closed because of inactivity.
    pub(crate) fn stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    /// Since when it has made no progress, unless that is only a pause.
    pub(crate) fn keeps_waiting_since(&self, now: u64) -> Option<u64> {
        if self.is_evicted() {
            return None;
        }
        let paused = |since: &u64| *since != 0 && *since + PAUSE_MS <= now;
        let no_request = Some(self.no_request.load(Relaxed)).filter(|since| *since != 0);
        let pauses = [&self.no_body, &self.no_reader].map(|since| Some(since.load(Relaxed)).filter(paused));
        [no_request, pauses[0], pauses[1]].into_iter().flatten().min()
    }

    /// Closes its connection, whatever is in progress.
    pub(crate) fn evict(&self) {
        self.evicted.store(true, Relaxed);
        self.stall();
        if let Some(fd) = *self.socket() {
            // SAFETY: the descriptor is open: it is removed from here before it is closed.
            unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
        }
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Relaxed)
    }

    /// Sets its socket, or that it is about to be closed.
    pub(crate) fn set_socket(&self, fd: Option<RawFd>) {
        *self.socket() = fd;
    }

    fn socket(&self) -> std::sync::MutexGuard<'_, Option<RawFd>> {
        self.socket.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

#[cfg(test)]
impl Client {
    pub(crate) fn begin_request(&self) {
        note(&self.no_request, false);
    }

    pub(crate) fn waits_since(&self, ms: u64) {
        self.no_request.store(ms, Relaxed);
    }
}

fn note(since: &AtomicU64, waits: bool) {
    match waits {
        false => since.store(0, Relaxed),
        true if since.load(Relaxed) == 0 => since.store(now_ms().max(1), Relaxed),
        true => {}
    }
}

/// Marks an operation for a client while it is held.
pub(crate) struct Busy(Arc<Client>);

impl Busy {
    pub(crate) fn new(client: &Arc<Client>) -> Busy {
        client.busy.fetch_add(1, Relaxed);
        client.set_phase(Phase::Busy);
        note(&client.no_request, false);
        Busy(client.clone())
    }
}

impl std::ops::Deref for Busy {
    type Target = Arc<Client>;

    fn deref(&self) -> &Arc<Client> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, Relaxed) > 1 {
            return;
        }
        self.0.owes_body(false);
        self.0.set_phase(Phase::Waiting);
        note(&self.0.no_request, true);
    }
}
