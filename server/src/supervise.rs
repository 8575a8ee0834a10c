//! Supervises a process: restarts it when it exits, stops it on request.

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
/// A process that ran this long started successfully.
const PROVEN: Duration = Duration::from_secs(10);
/// Failed starts allowed before the platform has been up once.
const TRIES: u32 = 3;

/// How to stop a process.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub signal: Signal,
    /// Time to exit by itself.
    pub grace: Duration,
    /// The signal after that.
    pub last: Signal,
}

/// State shared by all supervisors.
#[derive(Clone)]
pub struct Health {
    /// Whether the platform has been up once. Before that, repeated failures are reported, not retried.
    pub was_up: Arc<AtomicBool>,
    /// Receives a message when a supervisor gives up.
    pub gave_up: mpsc::Sender<String>,
}

/// A supervised process.
pub struct Supervised {
    order: watch::Sender<Option<Stop>>,
    task: JoinHandle<()>,
}

impl Supervised {
    /// Supervises `process` and restarts it with `start` when it exits. `name` is for the log.
    pub fn new<F, S>(name: &'static str, process: Process, start: S, health: Health) -> Supervised
    where
        F: Future<Output = Result<Process>> + Send + 'static,
        S: Fn() -> F + Send + Sync + 'static,
    {
        let (order, orders) = watch::channel(None);
        let supervisor = Supervisor { name, orders, health, pause: FIRST_PAUSE, deaths: 0 };
        Supervised { order, task: tokio::spawn(supervisor.supervise(process, start)) }
    }

    /// Stops it and waits until it has exited; kills it immediately when `hurry` resolves.
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

struct Supervisor {
    name: &'static str,
    orders: watch::Receiver<Option<Stop>>,
    health: Health,
    pause: Duration,
    deaths: u32,
}

impl Supervisor {
    async fn supervise<F, S>(mut self, process: Process, start: S)
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

    /// Waits for the process to exit and returns how, or `None` if it is to be stopped.
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

    /// Waits before the next try; `false` if there is none.
    async fn wait(&mut self, why: &str) -> bool {
        self.deaths += 1;
        if self.deaths >= TRIES && !self.health.was_up.load(Relaxed) {
            let message = format!("The {} {why}, {TRIES} times in a row. See its output above.", self.name);
            let _ = self.health.gave_up.send(message).await;
            return false;
        }
        tracing::warn!("the {} {why}; restarting it in {:?}", self.name, self.pause);
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
                // A fast stop was requested.
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
        let (gave_up, received) = mpsc::channel(1);
        (Health { was_up: Arc::default(), gave_up }, received)
    }

    fn shell(line: &str) -> Result<Process> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(line);
        Process::spawn(command)
    }

    #[tokio::test]
    async fn a_process_is_restarted_and_stops_on_request() {
        let (health, _received) = health();
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
        let process = Supervised::new("sleeper", first, start, health);
        let pid = starts.recv().await.unwrap();
        let stop = Stop { signal: Signal::SIGTERM, grace: Duration::from_secs(20), last: Signal::SIGKILL };
        process.stop(stop, std::future::pending()).await;
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[tokio::test]
    async fn a_process_that_never_starts_is_given_up() {
        let (health, mut received) = health();
        let start = || async { shell("exit 3") };
        let _process = Supervised::new("server", shell("exit 3").unwrap(), start, health);
        let message = received.recv().await.unwrap();
        assert!(message.starts_with("The server exited with status 3, 3 times in a row."), "{message}");
    }

    #[tokio::test]
    async fn hurry_kills_a_process_that_ignores_signals() {
        let (health, _received) = health();
        let stubborn = shell("trap '' TERM; while :; do sleep 0.1; done").unwrap();
        let process = Supervised::new("stubborn", stubborn, || async { shell("exit 0") }, health);
        let stop = Stop { signal: Signal::SIGTERM, grace: Duration::from_secs(1000), last: Signal::SIGKILL };
        process.stop(stop, std::future::ready(())).await;
    }
}
