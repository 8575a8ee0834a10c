//! Reconcilers: they maintain a state for as long as the server runs.
//!
//! A reconciler has no input and no state that matters: it reads the desired state, observes the actual state, and
//! brings it in line. One driver runs it, woken by a signal or a timer, never concurrently.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use tokio::sync::Notify;
use tracing::Instrument as _;

/// Brings the actual state in line with the desired state.
#[async_trait]
pub trait Reconciler: Send + 'static {
    /// Stable name, shown to the operator.
    const NAME: &'static str;

    /// Observes and acts once. What could not be done is in the report; the next run retries it.
    async fn run(&mut self) -> anyhow::Result<Report>;
}

/// What one run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One line for each thing done.
    pub done: Vec<String>,
    /// One line for each thing that could not be done.
    pub failed: Vec<String>,
    /// Run again after this long, if that is sooner than the regular interval.
    pub again_in: Option<Duration>,
}

/// The last run of a reconciler, and the number of runs.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub name: &'static str,
    pub runs: u64,
    pub last_run_at: Option<DateTime<Utc>>,
    pub duration: Duration,
    /// The last run that did anything, or else the last one.
    pub report: Report,
}

/// Runs one reconciler until it is dropped.
pub struct Driver {
    wake: Arc<Notify>,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Driver {
    /// Starts `reconciler`: it runs immediately, whenever it is woken, and at least once per `every`.
    pub fn start<R: Reconciler>(reconciler: R, every: Duration, wake: Arc<Notify>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { name: R::NAME, ..Seen::default() }));
        let task = tokio::spawn(drive(reconciler, every, wake.clone(), seen.clone()));
        Self { wake, seen, task }
    }

    /// Requests a run soon.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The last run, and the number of runs.
    pub fn seen(&self) -> Seen {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drive<R: Reconciler>(mut reconciler: R, every: Duration, wake: Arc<Notify>, seen: Arc<Mutex<Seen>>) {
    loop {
        let started = std::time::Instant::now();
        let span = tracing::info_span!("reconciler", reconciler = R::NAME);
        let outcome = AssertUnwindSafe(reconciler.run()).catch_unwind().instrument(span).await;
        let report = match outcome {
            Ok(Ok(report)) => report,
            Ok(Err(err)) => failed::<R>(format!("{err:#}")),
            Err(_) => failed::<R>("panicked".into()),
        };
        let pause = report.again_in.unwrap_or(every).min(every);
        note(&seen, report, started.elapsed());
        let _ = tokio::time::timeout(pause, wake.notified()).await;
    }
}

fn failed<R: Reconciler>(why: String) -> Report {
    tracing::warn!("reconciler {} failed: {why}", R::NAME);
    // Not in a tight loop while the database is down.
    Report { failed: vec![why], again_in: Some(Duration::from_secs(1)), ..Report::default() }
}

fn note(seen: &Mutex<Seen>, report: Report, took: Duration) {
    let Ok(mut seen) = seen.lock() else { return };
    seen.runs += 1;
    seen.last_run_at = Some(Utc::now());
    seen.duration = took;
    let quiet = report.done.is_empty() && report.failed.is_empty();
    if !quiet || !seen.report.failed.is_empty() {
        seen.report = report;
    }
}
