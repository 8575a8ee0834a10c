//! Dynos as the router sees them: idle connections, load, and whether they accept connections.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::coop;
use tokio::time::Instant;

use crate::socket::Address;
use crate::this_worker;
use crate::timer::now_ms;
use crate::wire::Wire;

/// Idle connections kept per dyno.
const IDLE: usize = 256;
/// Idle connections older than this are closed.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Connections of one worker. Boxed, because moving them by value costs more.
type Idle = Vec<Box<Wire>>;

/// A dyno, or the server.
pub(crate) struct Backend {
    pub(crate) dyno: String,
    pub(crate) address: Address,
    /// Per worker, so that a connection stays on the thread that waits for it.
    idle: Vec<Mutex<Idle>>,
    inflight: AtomicUsize,
    retired: AtomicBool,
    quarantined_until_ms: AtomicU64,
    /// Whether it is quarantined because it did not respond, rather than because it refused the connection.
    timed_out: AtomicBool,
}

impl Backend {
    pub(crate) fn new(dyno: String, address: Address, workers: usize) -> Backend {
        Backend {
            dyno,
            address,
            idle: (0..workers).map(|_| Mutex::default()).collect(),
            inflight: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            quarantined_until_ms: AtomicU64::new(0),
            timed_out: AtomicBool::new(false),
        }
    }

    /// An idle connection that was used within `max_age` and is still open.
    pub(crate) async fn checkout(&self, max_age: Duration) -> Option<Box<Wire>> {
        loop {
            let mut wire = {
                let mut idle = self.own();
                // The last one was used most recently.
                let old = idle.last()?.idle_since.elapsed() > max_age;
                if old { None } else { idle.pop() }
            }?;
            // Without tokio's budget: at the end of a turn, closed sockets would appear to be merely idle.
            let closed = coop::unconstrained(poll_fn(|cx| Poll::Ready(wire.drive(cx)))).await;
            if !closed && wire.is_ready() {
                return Some(wire);
            }
        }
    }

    /// Returns a connection to the pool, unless it is not reusable.
    pub(crate) fn checkin(&self, mut wire: Box<Wire>) {
        if !wire.is_ready() || self.retired.load(Relaxed) {
            return;
        }
        wire.idle_since = Instant::now();
        let mut idle = self.own();
        if idle.len() < IDLE {
            idle.push(wire);
        }
        // It may have been retired since the check above.
        if self.retired.load(Relaxed) {
            idle.clear();
        }
    }

    /// Closes idle connections permanently. Requests in progress continue.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Relaxed);
        self.close_idle();
    }

    /// Closes idle connections that the dyno has closed, or that were unused for long.
    pub(crate) fn sweep(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        for mut idle in self.idle.iter().map(lock) {
            idle.retain_mut(|wire| wire.idle_since.elapsed() < IDLE_TIME && !wire.drive(&mut cx));
        }
    }

    pub(crate) fn quarantine(&self, how_long: Duration, timed_out: bool) {
        self.timed_out.store(timed_out, Relaxed);
        let until = now_ms() + how_long.as_millis() as u64;
        self.quarantined_until_ms.store(until, Relaxed);
        self.close_idle();
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

    fn close_idle(&self) {
        for mut idle in self.idle.iter().map(lock) {
            idle.clear();
        }
    }

    fn own(&self) -> MutexGuard<'_, Idle> {
        lock(&self.idle[this_worker::number()])
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(|broken| broken.into_inner())
}

/// A request in progress at a backend.
pub(crate) struct Lease(pub(crate) Arc<Backend>);

impl Lease {
    pub(crate) fn new(backend: Arc<Backend>) -> Lease {
        backend.inflight.fetch_add(1, Relaxed);
        Lease(backend)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.inflight.fetch_sub(1, Relaxed);
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

    fn backends(n: usize) -> Vec<Arc<Backend>> {
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        (1..=n).map(|i| Arc::new(Backend::new(format!("web.{i}"), address.clone(), 1))).collect()
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
        let _lease = Lease::new(all[0].clone());
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
}
