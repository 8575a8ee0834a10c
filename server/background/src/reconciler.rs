//! Reconcilers: what is true only as long as someone keeps making it true.
//!
//! A reconciler has no input and no memory that matters: it looks at what is wanted, looks at
//! what is, and makes the second equal to the first. One driver runs it, woken by a signal or
//! by the clock, never twice at once.

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

/// Makes what is equal to what was asked for.
#[async_trait]
pub trait Reconciler: Send + 'static {
    /// Stable name, shown to the operator.
    const NAME: &'static str;

    /// Looks and acts once. What could not be done is in the report; the next run tries again.
    async fn run(&mut self) -> anyhow::Result<Report>;
}

/// What one run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One line for each thing done.
    pub done: Vec<String>,
    /// One line for each thing that could not be done.
    pub failed: Vec<String>,
    /// Run again after this long, when that is sooner than the usual time.
    pub again_in: Option<Duration>,
}

/// What a reconciler did last, and how often it ran.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub name: &'static str,
    pub runs: u64,
    pub last_run_at: Option<DateTime<Utc>>,
    pub duration: Duration,
    /// The last run that did anything, or the last one.
    pub report: Report,
}

/// Runs one reconciler until it is dropped.
pub struct Driver {
    wake: Arc<Notify>,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Driver {
    /// Starts `reconciler`; it runs at once, then whenever woken, and at least once in `every`.
    pub fn start<R: Reconciler>(reconciler: R, every: Duration, wake: Arc<Notify>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { name: R::NAME, ..Seen::default() }));
        let task = tokio::spawn(drive(reconciler, every, wake.clone(), seen.clone()));
        Self { wake, seen, task }
    }

    /// Asks for a run soon.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// What it did last.
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
        let span = tracing::info_span!("reconciler", name = R::NAME);
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
    // Not in a tight loop when the database is away.
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
