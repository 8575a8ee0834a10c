//! Keeps a process running: starts it again when it dies, stops it when asked.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use nix::sys::signal::Signal;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::process::{Process, ending};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What ran for this long did not die of its start.
const PROVEN: Duration = Duration::from_secs(10);
/// How often something may die before the platform was up once.
const TRIES: u32 = 3;

/// How something is asked to stop.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub signal: Signal,
    /// How long it may take.
    pub grace: Duration,
    /// What ends it after that.
    pub last: Signal,
}

/// What all keepers share with whoever started them.
#[derive(Clone)]
pub struct Health {
    /// Whether the platform was up once. Before that, what keeps dying is given up.
    pub was_up: Arc<AtomicBool>,
    /// Where a keeper says, in a sentence, that it gave up.
    pub gave_up: mpsc::Sender<String>,
}

/// A process that is kept running.
pub struct Kept {
    order: watch::Sender<Option<Stop>>,
    task: JoinHandle<()>,
}

impl Kept {
    /// Keeps `process` running, starting it with `start` when it died. `name` is for the log.
    pub fn new<F, S>(name: &'static str, process: Process, start: S, health: Health) -> Kept
    where
        F: Future<Output = Result<Process>> + Send + 'static,
        S: Fn() -> F + Send + Sync + 'static,
    {
        let (order, orders) = watch::channel(None);
        let keeper = Keeper { name, orders, health, pause: FIRST_PAUSE, deaths: 0 };
        Kept { order, task: tokio::spawn(keeper.keep(process, start)) }
    }

    /// Stops it and waits until it is gone. When `hurry` comes, it is ended at once.
    pub async fn stop(mut self, stop: Stop, hurry: impl Future<Output = ()>) {
        self.order.send_replace(Some(stop));
        tokio::select! {
            _ = &mut self.task => return,
            () = hurry => {}
        }
        let now = Stop { signal: stop.last, grace: Duration::from_secs(3), last: Signal::SIGKILL };
        self.order.send_replace(Some(now));
        let _ = self.task.await;
    }
}

struct Keeper {
    name: &'static str,
    orders: watch::Receiver<Option<Stop>>,
    health: Health,
    pause: Duration,
    deaths: u32,
}

impl Keeper {
    async fn keep<F, S>(mut self, process: Process, start: S)
    where
        F: Future<Output = Result<Process>> + Send + 'static,
        S: Fn() -> F + Send + Sync + 'static,
    {
        let mut process = Some(process);
        loop {
            let why = match process.take() {
                None => "could not be started".to_owned(),
                Some(mut running) => match self.watch(&mut running).await {
                    Some(why) => why,
                    None => return self.end(running).await,
                },
            };
            if !self.wait(&why).await {
                return;
            }
            match start().await {
                Ok(started) => process = Some(started),
                Err(err) => tracing::error!("could not start the {}: {err:#}", self.name),
            }
        }
    }

    /// Waits for the end of the process: how it ended, or nothing when it is to be stopped.
    async fn watch(&mut self, process: &mut Process) -> Option<String> {
        let since = Instant::now();
        let status = tokio::select! {
            status = process.wait() => status,
            _ = self.orders.changed() => return None,
        };
        if since.elapsed() >= PROVEN {
            (self.pause, self.deaths) = (FIRST_PAUSE, 0);
        }
        Some(ending(status))
    }

    /// Waits before the next try; `false` when there shall be none.
    async fn wait(&mut self, why: &str) -> bool {
        self.deaths += 1;
        if self.deaths >= TRIES && !self.health.was_up.load(Relaxed) {
            let message = format!("The {} {why}, {TRIES} times in a row. What it said about that is above.", self.name);
            let _ = self.health.gave_up.send(message).await;
            return false;
        }
        tracing::warn!("the {} {why}; starting it again in {:?}", self.name, self.pause);
        let pause = self.pause;
        self.pause = LONGEST_PAUSE.min(pause * 2);
        tokio::select! {
            () = sleep(pause) => true,
            _ = self.orders.changed() => false,
        }
    }

    async fn end(mut self, mut process: Process) {
        loop {
            let Some(stop) = *self.orders.borrow_and_update() else { return };
            tokio::select! {
                stopped = process.stop(stop.signal, stop.grace, stop.last) => {
                    if let Err(err) = stopped {
                        tracing::error!("could not stop the {}: {err:#}", self.name);
                    }
                    return;
                }
                // Asked to hurry.
                Ok(()) = self.orders.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::process::Command;

    fn health() -> (Health, mpsc::Receiver<String>) {
        let (gave_up, messages) = mpsc::channel(1);
        (Health { was_up: Arc::default(), gave_up }, messages)
    }

    fn shell(line: &str) -> Result<Process> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(line);
        Process::spawn(command)
    }

    #[tokio::test]
    async fn what_dies_is_started_again_and_stops_when_asked() {
        let (health, _heard) = health();
        health.was_up.store(true, Relaxed);
        let (started, mut starts) = mpsc::unbounded_channel();
        let start = move || {
            let started = started.clone();
            async move {
                let process = shell("exec sleep 1000")?;
                let _ = started.send(process.pid());
                Ok(process)
            }
        };
        let first = shell("exit 3").unwrap();
        let kept = Kept::new("sleeper", first, start, health);
        let pid = starts.recv().await.unwrap();
        let stop = Stop { signal: Signal::SIGTERM, grace: Duration::from_secs(20), last: Signal::SIGKILL };
        kept.stop(stop, std::future::pending()).await;
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[tokio::test]
    async fn what_never_comes_up_is_given_up() {
        let (health, mut messages) = health();
        let start = || async { shell("exit 3") };
        let _kept = Kept::new("server", shell("exit 3").unwrap(), start, health);
        let message = messages.recv().await.unwrap();
        assert!(message.starts_with("The server ended with status 3, 3 times in a row."), "{message}");
    }

    #[tokio::test]
    async fn hurry_ends_what_does_not_want_to() {
        let (health, _heard) = health();
        let stubborn = shell("trap '' TERM; while :; do sleep 0.1; done").unwrap();
        let kept = Kept::new("stubborn", stubborn, || async { shell("exit 0") }, health);
        let stop = Stop { signal: Signal::SIGTERM, grace: Duration::from_secs(1000), last: Signal::SIGKILL };
        kept.stop(stop, std::future::ready(())).await;
    }
}
