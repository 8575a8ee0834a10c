//! Waits for events of the dynos' processes: exits, and web processes that begin to accept connections. Wakes the
//! supervisor, which therefore need not query the driver for every dyno in each run.
//!
//! Nothing here has to survive a restart: the driver is queried for dynos that are not watched.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::ids::{AppId, RunId};
use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use spool::Pause;
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Platform;

/// The interval between attempts to connect to a starting process: a small program listens within milliseconds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The time limit of an attempt.
const ACCEPTS: Duration = Duration::from_millis(200);
/// The pause after a failure to wait for a process.
const AGAIN: Duration = Duration::from_secs(1);

/// The watched processes. Dropping it ends the watch.
#[derive(Default)]
pub(super) struct Watch {
    known: Arc<Known>,
    end: CancellationToken,
}

/// By run.
type Known = Mutex<HashMap<RunId, Process>>;

#[derive(Default)]
struct Process {
    app: AppId,
    has_ended: bool,
    /// Ends the probe.
    probe: Option<DropGuard>,
    /// Where it accepts connections.
    accepts: Option<SocketAddr>,
    /// When it was first seen up.
    up_since: Option<Instant>,
    /// The signals that the app's log mentions.
    announced: HashSet<Signal>,
}

impl Watch {
    /// Waits for a process to exit, unless it is watched already. If that fails, the process is forgotten after a pause,
    /// so that the driver is asked for it and it is watched again.
    pub fn begin(&self, platform: &Platform, app: AppId, run: RunId) {
        let mut all = lock(&self.known);
        if all.contains_key(&run) {
            return;
        }
        all.insert(run, Process { app, ..Process::default() });
        let (platform, known) = (platform.clone(), self.known.clone());
        spawn(self.end.clone(), async move {
            if let Err(err) = platform.driver().wait(run).await {
                tracing::debug!(dyno.run = %run, "could not wait for a process to exit: {err}");
                tokio::time::sleep(AGAIN).await;
                lock(&known).remove(&run);
            } else if let Some(process) = lock(&known).get_mut(&run) {
                process.has_ended = true;
            }
            platform.wake_dynos_of(app);
        });
    }

    /// Waits until a watched process accepts connections, unless that wait has begun. `address` is queried if it is not
    /// known yet.
    pub fn probe(&self, platform: &Platform, run: RunId, address: Option<SocketAddr>) {
        let mut all = lock(&self.known);
        let Some(process) = all.get_mut(&run).filter(|process| process.probe.is_none()) else { return };
        let end = self.end.child_token();
        process.probe = Some(end.clone().drop_guard());
        let (platform, known) = (platform.clone(), self.known.clone());
        spawn(end, async move { probe(&platform, &known, run, address).await });
    }

    /// Whether a signal to a process has yet to be mentioned in the app's log. Only the first call for each signal
    /// returns `true`, however often the signal is sent because a step after it failed.
    pub fn announce(&self, run: RunId, signal: Signal) -> bool {
        lock(&self.known).get_mut(&run).is_none_or(|process| process.announced.insert(signal))
    }

    /// Whether a process is watched and has not exited.
    pub fn runs(&self, run: RunId) -> bool {
        lock(&self.known).get(&run).is_some_and(|process| !process.has_ended)
    }

    /// The address at which a process accepts connections, once it does.
    pub fn accepts(&self, run: RunId) -> Option<SocketAddr> {
        lock(&self.known).get(&run)?.accepts
    }

    /// When a watched process that is up came up: at `at`, unless the clock was set back since then. Otherwise its watch
    /// period would last longer by as much.
    pub fn up_since(&self, run: RunId, at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        let mut all = lock(&self.known);
        let Some(process) = all.get_mut(&run) else { return at };
        let elapsed = process.up_since.get_or_insert_with(Instant::now).elapsed();
        at.min(now - elapsed)
    }

    /// Forgets all other processes.
    pub fn keep(&self, runs: &HashSet<RunId>) {
        lock(&self.known).retain(|run, _| runs.contains(run));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

fn spawn(end: CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::select! {
            () = end.cancelled() => {}
            () = work => {}
        }
    });
}

async fn probe(platform: &Platform, known: &Known, run: RunId, mut address: Option<SocketAddr>) {
    let mut pause = Pause::between(SHORTEST_PAUSE, LONGEST_PAUSE);
    while lock(known).get(&run).is_some_and(|process| !process.has_ended) {
        if address.is_none() {
            address = platform.driver().status(run).await.ok().flatten().and_then(|status| status.handle.addr);
        }
        if let Some(address) = address
            && accepts(address).await
        {
            if let Some(process) = lock(known).get_mut(&run) {
                process.accepts = Some(address);
                platform.wake_dynos_of(process.app);
            }
            return;
        }
        tokio::time::sleep(pause.take()).await;
    }
}

async fn accepts(address: SocketAddr) -> bool {
    matches!(tokio::time::timeout(ACCEPTS, TcpStream::connect(address)).await, Ok(Ok(_)))
}

fn lock(known: &Known) -> MutexGuard<'_, HashMap<RunId, Process>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_make_a_process_come_up_later() {
        let (watch, run, now) = (Watch::default(), RunId::now_v7(), Utc::now());
        let ahead = now + chrono::Duration::hours(1);
        assert_eq!(watch.up_since(run, ahead, now), ahead, "it is not watched");
        lock(&watch.known).insert(run, Process::default());
        assert!(watch.up_since(run, ahead, now) <= now);
        let before = now - chrono::Duration::seconds(5);
        assert_eq!(watch.up_since(run, before, now), before);
    }
}
