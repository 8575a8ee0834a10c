//! Ingests the output of dynos and the router's spool into the apps' logs, each line once.
//!
//! Both are also written while the server is down. A task continues reading at the cursor in the log. A dyno that has
//! ended may have left a gigabyte of output: it is read in turns of a few hundred lines, so that no app waits for the
//! output of another. Code that removes a dyno checks with [`read_out`] whether it has been read, instead of waiting
//! for it.

pub(crate) mod followers;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use api::ids::{AppId, RunId};
use futures::{StreamExt as _, stream};
use spool::Pause;

use self::followers::{Shared, Stage};
use crate::Platform;

/// A pause when there was nothing to read,
const IDLE: Duration = Duration::from_millis(60);
/// and the longest one when there has been nothing for a while: so late is the first line after a silence.
const LONGEST_IDLE: Duration = Duration::from_millis(240);
/// How old the list of apps may be that router lines are copied for: lines of one that is newer wait as long.
const APPS_AGE: Duration = Duration::from_secs(1);
/// Entries read at once: a flood of one dyno lets the others have their turn.
const BATCH: usize = 2000;
/// The number of entries, of 10 KB at most, that are read in one turn from the output of a dyno that has ended.
const TURN: usize = 500;
/// The number of ended dynos whose output is read concurrently.
const TURNS: usize = 4;
/// How long copying the output of an ended dyno is retried after an error, such as a full disk, and the pause between
/// attempts. Meanwhile the dyno is neither removed nor restarted, so this is short.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(500);

/// Begins to follow the output of a dyno.
pub(crate) fn follow(platform: &Platform, app: AppId, run: RunId, name: &str) {
    match follower(platform, app, run, name) {
        Ok(follower) => platform.ingest().add(app, run, follower),
        Err(err) => tracing::error!(dyno.name = %name, "could not follow the output: {err}"),
    }
}

/// A follower that copies the output of a dyno into the app's log, from the cursor in the log.
///
/// # Errors
/// If the log or the output cannot be read.
pub fn follower(platform: &Platform, app: AppId, run: RunId, name: &str) -> logs::Result<logs::Follower> {
    let (dyno, driver) = (logs::Dyno { app, id: run, name: name.into() }, platform.driver().clone());
    logs::Follower::new(platform.history().clone(), dyno, move |from| driver.output(run, from))
}

/// Whether the output of an ended dyno has been read completely. If not, reading begins, and the dyno reconciler is
/// woken when it is done. Call [`Ingest::forget`](followers::Ingest::forget) once the dyno is removed.
pub(crate) async fn read_out(platform: &Platform, app: AppId, run: RunId) -> anyhow::Result<bool> {
    if !platform.ingest().has(run) && !follow_again(platform, app, run).await? {
        return Ok(true);
    }
    // If the output cannot be followed, the error was reported, and the dyno must not be kept forever.
    Ok(platform.ingest().end(run).is_none_or(|stage| stage == Stage::Read))
}

/// Follows a dyno that ended or was started while the server was down. Returns whether it exists.
async fn follow_again(platform: &Platform, app: AppId, run: RunId) -> anyhow::Result<bool> {
    let Some(status) = platform.driver().status(run).await? else { return Ok(false) };
    follow(platform, app, run, &status.handle.name);
    Ok(true)
}

/// Reads the output of an ended dyno to the end, and stops following it. For the shutdown of the server, when nothing
/// else reads.
pub(crate) async fn finish(platform: &Platform, app: AppId, run: RunId) -> anyhow::Result<()> {
    if !platform.ingest().has(run) {
        follow_again(platform, app, run).await?;
    }
    let Some(follower) = platform.ingest().take(run) else { return Ok(()) };
    let read = move || while step(&follower, BATCH).copied() > 0 {};
    tokio::task::spawn_blocking(read).await.context("read the last lines")
}

/// The result of a step.
enum Step {
    /// This many lines were copied.
    Copied(usize),
    /// Everything was copied, and the output is complete.
    Ended,
    /// An error: there may be more output.
    Failed,
}

impl Step {
    fn copied(&self) -> usize {
        if let Self::Copied(lines) = self { *lines } else { 0 }
    }
}

/// Copies a few lines.
fn step(follower: &Shared, most: usize) -> Step {
    let Ok(mut follower) = follower.lock() else { return Step::Failed };
    match follower.step(most) {
        Ok(0) if follower.has_ended() => Step::Ended,
        Ok(copied) => Step::Copied(copied),
        Err(err) => {
            tracing::warn!("could not read a dyno's output, retrying: {err}");
            Step::Failed
        }
    }
}

/// Whether a step would copy nothing. A system call; never waits.
fn is_idle(follower: &Shared) -> bool {
    follower.try_lock().is_ok_and(|mut follower| follower.is_idle())
}

/// Follows everything until it is dropped.
pub(crate) async fn run(platform: Platform) {
    if let Err(err) = take_up(&platform).await {
        tracing::error!("could not resume reading the output of running dynos: {err:#}");
    }
    tokio::join!(dynos(&platform), ended(&platform), router(&platform));
}

/// After a restart: the dynos that kept running meanwhile.
async fn take_up(platform: &Platform) -> anyhow::Result<()> {
    for row in store::dynos::dyno_all(platform.db(), None).await? {
        if !platform.ingest().has(row.run_id) {
            follow_again(platform, row.app_id, row.run_id).await?;
        }
    }
    Ok(())
}

async fn dynos(platform: &Platform) {
    let mut pause = Pause::between(IDLE, LONGEST_IDLE);
    loop {
        let mut all = platform.ingest().in_stage(Stage::Runs);
        if all.is_empty() {
            platform.ingest().began.notified().await;
            continue;
        }
        // Most outputs are silent most of the time: checking here is cheaper than waking another thread.
        all.retain(|(_, follower)| !is_idle(follower));
        let copied = match all.is_empty() {
            true => 0,
            false => {
                let read = move || all.iter().map(|(_, follower)| step(follower, BATCH).copied()).sum::<usize>();
                tokio::task::spawn_blocking(read).await.unwrap_or_default()
            }
        };
        if copied > 0 {
            pause.reset();
        }
        if copied < BATCH && tokio::time::timeout(pause.take(), platform.ingest().began.notified()).await.is_ok() {
            pause.reset();
        }
    }
}

/// Reads the output of ended dynos to the end, in round-robin order.
async fn ended(platform: &Platform) {
    loop {
        let ended = platform.ingest().in_stage(Stage::Ended);
        if ended.is_empty() {
            platform.ingest().ended.notified().await;
            continue;
        }
        #[cfg(feature = "testing")]
        drop(platform.ingest().gate.lock().await);
        let turn = |(run, follower): (RunId, Shared)| async move {
            let step = tokio::task::spawn_blocking(move || step(&follower, TURN)).await;
            match step.unwrap_or(Step::Failed) {
                Step::Copied(0) => tokio::time::sleep(IDLE).await,
                Step::Copied(_) => {}
                Step::Failed if !platform.ingest().has_failed_for(run, PATIENCE) => tokio::time::sleep(AGAIN).await,
                // Output that still cannot be read is lost with the dyno.
                Step::Ended | Step::Failed => {
                    if let Some(app) = platform.ingest().was_read(run) {
                        platform.wake_dynos_of(app);
                    }
                }
            }
        };
        stream::iter(ended).for_each_concurrent(TURNS, turn).await;
    }
}

async fn router(platform: &Platform) {
    let spool = router::spool_dir(&platform.config().data);
    let follower = match logs::Router::new(platform.history().clone(), &spool) {
        Ok(follower) => Arc::new(Mutex::new(follower)),
        Err(err) => return tracing::error!("could not follow the router's lines: {err}"),
    };
    let (mut apps, mut read_at) = (Arc::new(HashSet::new()), None::<Instant>);
    let mut pause = Pause::between(IDLE, LONGEST_IDLE);
    loop {
        if follower.try_lock().is_ok_and(|mut follower| follower.is_idle()) {
            tokio::time::sleep(pause.take()).await;
            continue;
        }
        if read_at.is_none_or(|at| at.elapsed() >= APPS_AGE) {
            apps = match store::apps::app_ids(platform.db()).await {
                Ok(ids) => Arc::new(ids.into_iter().collect()),
                Err(err) => {
                    tracing::warn!("could not read the apps, retrying: {err}");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            read_at = Some(Instant::now());
        }
        match copy_requests(follower.clone(), apps.clone()).await {
            Ok(0) => tokio::time::sleep(pause.take()).await,
            Ok(copied) => {
                pause.reset();
                if copied < BATCH {
                    tokio::time::sleep(IDLE).await;
                }
            }
            Err(err) => {
                tracing::warn!("could not read the router's lines, retrying: {err:#}");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Copies a few router lines of these apps; returns how many were read.
async fn copy_requests(follower: Arc<Mutex<logs::Router>>, apps: Arc<HashSet<AppId>>) -> anyhow::Result<usize> {
    let copy = move || {
        let Ok(mut follower) = follower.lock() else { return Ok(0) };
        follower.step(BATCH, |app| apps.contains(&app))
    };
    Ok(tokio::task::spawn_blocking(copy).await??)
}

/// Reads everything that is there once more, at the end.
pub(crate) async fn drain(platform: &Platform) {
    let all = platform.ingest().all();
    let _ = tokio::task::spawn_blocking(move || all.iter().for_each(|f| while step(f, BATCH).copied() > 0 {})).await;
}

/// Pauses reading the output of ended dynos until it is dropped.
#[cfg(feature = "testing")]
pub async fn hold_reading(platform: &Platform) -> tokio::sync::OwnedMutexGuard<()> {
    platform.ingest().gate.clone().lock_owned().await
}
