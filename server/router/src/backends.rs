//! Dynos as the router sees them: idle connections, load, and whether they accept connections.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::coop;

use crate::pool::{BackendPool, Pool};
use crate::socket::Address;
use crate::timer::now_ms;
use crate::wire::Wire;

/// A dyno, or the server.
pub(crate) struct Backend {
    pub(crate) dyno: String,
    pub(crate) address: Address,
    idle: BackendPool,
    inflight: AtomicUsize,
    /// Those of them that have become tunnels.
    tunnels: AtomicUsize,
    retired: AtomicBool,
    /// Notified when a request to a retired backend has ended.
    ended: Notify,
    quarantined_until_ms: AtomicU64,
    /// Whether it is quarantined because it did not respond, rather than because it refused the connection.
    timed_out: AtomicBool,
}

impl Backend {
    pub(crate) fn new(dyno: String, address: Address, pool: &Arc<Pool>) -> Backend {
        Backend {
            dyno,
            address,
            idle: pool.add_backend(),
            inflight: AtomicUsize::new(0),
            tunnels: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            ended: Notify::new(),
            quarantined_until_ms: AtomicU64::new(0),
            timed_out: AtomicBool::new(false),
        }
    }

    /// An idle connection that was used within `max_age` and is still open.
    pub(crate) async fn checkout(&self, max_age: Duration) -> Option<Box<Wire>> {
        loop {
            let mut wire = self.idle.take(max_age)?;
            // Even at the end of a turn, when closed sockets appear merely idle.
            let closed = coop::unconstrained(poll_fn(|cx| Poll::Ready(wire.drive(cx)))).await;
            if !closed && wire.is_ready() {
                return Some(wire);
            }
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> io::Result<Box<Wire>> {
        self.idle.connect(&self.address).await
    }

    /// Returns a connection to the pool, unless it is not reusable.
    pub(crate) fn checkin(&self, wire: Box<Wire>) {
        if !wire.is_ready() || self.retired.load(Relaxed) {
            return;
        }
        self.idle.keep(wire);
        // It may have been retired since the check above.
        if self.retired.load(Relaxed) {
            self.idle.close();
        }
    }

    /// Closes idle connections permanently. Requests in progress continue, and no others begin.
    pub(crate) fn retire(&self) {
        self.retired.store(true, SeqCst);
        self.idle.close();
    }

    /// Whether requests are in progress. Tunnels do not count: they do not end by themselves, and an app that gets
    /// SIGTERM can close them properly.
    pub(crate) fn is_busy(&self) -> bool {
        // In this order: a tunnel that ends meanwhile must not hide a request.
        let inflight = self.inflight.load(SeqCst);
        inflight > self.tunnels.load(SeqCst)
    }

    /// Waits until no request to a retired backend is in progress.
    pub(crate) async fn until_drained(&self) {
        loop {
            // Created before the check, so that no end in between is missed.
            let ended = self.ended.notified();
            if !self.is_busy() {
                return;
            }
            ended.await;
        }
    }

    fn note_end(&self) {
        if self.retired.load(SeqCst) {
            self.ended.notify_waiters();
        }
    }

    pub(crate) fn quarantine(&self, how_long: Duration, timed_out: bool) {
        self.timed_out.store(timed_out, Relaxed);
        let until = now_ms() + how_long.as_millis() as u64;
        self.quarantined_until_ms.store(until, Relaxed);
        self.idle.close();
    }

    pub(crate) fn release(&self) {
        if self.quarantined_until_ms.load(Relaxed) != 0 {
            self.quarantined_until_ms.store(0, Relaxed);
        }
    }

    fn is_quarantined(&self) -> bool {
        match self.quarantined_until_ms.load(Relaxed) {
            0 => false,
            until => until > now_ms(),
        }
    }
}

/// A request in progress at a backend.
pub(crate) struct Lease {
    pub(crate) backend: Arc<Backend>,
    is_tunnel: bool,
}

impl Lease {
    /// `None` if the backend is retired. A request is counted before it checks for retirement, and retiring a backend
    /// comes before checking whether it is busy: so either this request does not begin, or it is waited for.
    pub(crate) fn take(backend: &Arc<Backend>) -> Option<Lease> {
        backend.inflight.fetch_add(1, SeqCst);
        let lease = Lease { backend: backend.clone(), is_tunnel: false };
        (!backend.retired.load(SeqCst)).then_some(lease)
    }

    /// The request has become a tunnel.
    pub(crate) fn become_tunnel(&mut self) {
        if !std::mem::replace(&mut self.is_tunnel, true) {
            self.backend.tunnels.fetch_add(1, SeqCst);
            self.backend.note_end();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // In this order, so that the number of requests never appears too low.
        if self.is_tunnel {
            self.backend.tunnels.fetch_sub(1, SeqCst);
        }
        self.backend.inflight.fetch_sub(1, SeqCst);
        self.backend.note_end();
    }
}

/// The outcome of looking for a dyno.
pub(crate) enum Choice {
    Take(Arc<Backend>),
    /// This request has tried all of them.
    NoneLeft,
    /// All of them have failed recently.
    Quarantined,
}

/// Chooses among the backends that this request has not tried: the less busy of two at random.
pub(crate) fn choose(backends: &[Arc<Backend>], tried: &[Arc<Backend>]) -> Choice {
    let fresh = |b: &Arc<Backend>| !tried.iter().any(|t| Arc::ptr_eq(t, b));
    let fit = |b: &Arc<Backend>| !b.is_quarantined() && (tried.is_empty() || fresh(b));
    let n = backends.len();
    let (first, second) = match n {
        0 => return Choice::NoneLeft,
        1 => (0, 0),
        _ => {
            let first = random_below(n);
            (first, (first + 1 + random_below(n - 1)) % n)
        }
    };
    let (a, b) = (&backends[first], &backends[second]);
    match (fit(a), fit(b)) {
        (true, true) if b.inflight.load(Relaxed) < a.inflight.load(Relaxed) => {
            return Choice::Take(b.clone());
        }
        (true, _) => return Choice::Take(a.clone()),
        (false, true) => return Choice::Take(b.clone()),
        (false, false) => {}
    }
    let turned = || backends.iter().cycle().skip(first).take(n);
    if let Some(found) = turned().find(|b| fit(b)) {
        return Choice::Take(found.clone());
    }
    // All are quarantined. A dyno that refused connections does so quickly, and may be back, so it is tried again. A
    // dyno that does not respond would make every request wait.
    match turned().find(|b| fresh(b) && !b.timed_out.load(Relaxed)) {
        Some(found) => Choice::Take(found.clone()),
        None if turned().any(fresh) => Choice::Quarantined,
        None => Choice::NoneLeft,
    }
}

fn random_below(n: usize) -> usize {
    use std::cell::Cell;
    thread_local! {
        static STATE: Cell<u64> = Cell::new(rand::random::<u64>() | 1);
    }
    // xorshift: good enough to spread load, and a request should not pay for more.
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        (((x >> 32) * n as u64) >> 32) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;

    fn backends(n: usize) -> Vec<Arc<Backend>> {
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        let pool = Pool::new(1, Files::for_backends(1));
        (1..=n).map(|i| Arc::new(Backend::new(format!("web.{i}"), address.clone(), &pool))).collect()
    }

    fn taken(choice: Choice) -> Option<String> {
        match choice {
            Choice::Take(backend) => Some(backend.dyno.clone()),
            _ => None,
        }
    }

    #[test]
    fn everyone_gets_some() {
        let all = backends(3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            seen.extend(taken(choose(&all, &[])));
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn the_busy_tried_and_quarantined_are_passed_over() {
        let all = backends(2);
        let _lease = Lease::take(&all[0]).expect("it is in use");
        assert_eq!(taken(choose(&all, &[])).as_deref(), Some("web.2"));
        assert_eq!(taken(choose(&all, &all[1..])).as_deref(), Some("web.1"));
        all[1].quarantine(Duration::from_secs(60), false);
        assert_eq!(taken(choose(&all, &[])).as_deref(), Some("web.1"));
        assert!(matches!(choose(&all, &all), Choice::NoneLeft));
    }

    #[test]
    fn when_all_are_quarantined_only_those_that_refused_are_asked_again() {
        let all = backends(2);
        all[0].quarantine(Duration::from_secs(60), true);
        all[1].quarantine(Duration::from_secs(60), false);
        assert_eq!(taken(choose(&all, &[])).as_deref(), Some("web.2"));
        all[1].quarantine(Duration::from_secs(60), true);
        assert!(matches!(choose(&all, &[]), Choice::Quarantined));
    }

    #[test]
    fn a_retired_backend_is_busy_until_its_last_request_has_ended_or_is_a_tunnel() {
        let all = backends(1);
        let mut leases: Vec<Lease> = (0..2).filter_map(|_| Lease::take(&all[0])).collect();
        all[0].retire();
        assert!(Lease::take(&all[0]).is_none() && all[0].is_busy());
        leases[0].become_tunnel();
        assert!(all[0].is_busy());
        leases.pop();
        assert!(!all[0].is_busy());
        leases.clear();
        assert_eq!((all[0].inflight.load(SeqCst), all[0].tunnels.load(SeqCst)), (0, 0));
    }
}
