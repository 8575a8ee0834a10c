//! Ingests the spools of dynos and of the router into the apps' logs, each line once.
//!
//! Spools are also written while the server is down. A task continues to read at the cursor in the log, and code that
//! removes a dyno has its spool read to the end first.

pub(crate) mod followers;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use uuid::Uuid;

use self::followers::Shared;
use crate::Platform;

/// A pause when there was nothing to read.
const IDLE: Duration = Duration::from_millis(60);
/// Entries read at once: a flood of one dyno lets the others have their turn.
const BATCH: usize = 2000;

/// Begins to follow the output of a dyno.
pub(crate) fn follow(platform: &Platform, app: Uuid, run: Uuid, name: &str, spool: &Path) {
    let dyno = logs::Dyno { app, id: run, name: name.into(), spool: spool.into() };
    match logs::Follower::new(platform.history().clone(), dyno) {
        Ok(follower) => {
            if let Ok(mut followers) = platform.ingest().followers.lock() {
                followers.insert(run, Arc::new(Mutex::new(follower)));
            }
        }
        Err(err) => tracing::error!(dyno.name = %name, "could not follow the output: {err}"),
    }
}

/// Reads the output of a dyno that has ended to its end, and follows it no longer.
pub(crate) async fn finish(platform: &Platform, app: Uuid, run: Uuid) -> anyhow::Result<()> {
    let follower = match platform.ingest().take(run) {
        Some(follower) => follower,
        // Ended while the server was away.
        None => {
            let Some(status) = platform.driver().status(run).await? else { return Ok(()) };
            let (name, spool) = (status.handle.name, status.handle.spool);
            follow(platform, app, run, &name, &spool);
            let Some(follower) = platform.ingest().take(run) else { return Ok(()) };
            follower
        }
    };
    tokio::task::spawn_blocking(move || while step(&follower) > 0 {}).await.context("read the last lines")
}

fn step(follower: &Shared) -> usize {
    let Ok(mut follower) = follower.lock() else { return 0 };
    follower.step(BATCH).unwrap_or_else(|err| {
        tracing::warn!("could not read a dyno's output, retrying: {err}");
        0
    })
}

fn is_idle(follower: &Shared) -> bool {
    follower.lock().is_ok_and(|mut follower| follower.is_idle())
}

/// Follows everything until it is dropped.
pub(crate) async fn run(platform: Platform) {
    if let Err(err) = take_up(&platform).await {
        tracing::error!("could not resume reading the output of running dynos: {err:#}");
    }
    tokio::join!(dynos(&platform), router(&platform));
}

/// After a restart: the dynos that went on running meanwhile.
async fn take_up(platform: &Platform) -> anyhow::Result<()> {
    for row in store::dynos::dyno_all(platform.db()).await? {
        if let Some(status) = platform.driver().status(row.run_id).await? {
            follow(platform, row.app_id, row.run_id, &row.name, &status.handle.spool);
        }
    }
    Ok(())
}

async fn dynos(platform: &Platform) {
    loop {
        let all = platform.ingest().all();
        let read = move || all.iter().filter(|(_, f)| !is_idle(f)).map(|(_, f)| step(f)).sum::<usize>();
        let read = tokio::task::spawn_blocking(read).await;
        if !matches!(read, Ok(n) if n >= BATCH) {
            tokio::time::sleep(IDLE).await;
        }
    }
}

async fn router(platform: &Platform) {
    let spool = router::spool_dir(&platform.config().data);
    let follower = match logs::Router::new(platform.history().clone(), &spool) {
        Ok(follower) => Arc::new(Mutex::new(follower)),
        Err(err) => return tracing::error!("could not follow the router's lines: {err}"),
    };
    loop {
        let known: std::collections::HashSet<Uuid> = match store::apps::app_ids(platform.db()).await {
            Ok(ids) => ids.into_iter().collect(),
            Err(err) => {
                tracing::warn!("could not read the apps, retrying: {err}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        // The list of apps is read again each second at most: lines of one that is new wait as long.
        for _ in 0..16 {
            let (shared, known) = (follower.clone(), known.clone());
            let read = tokio::task::spawn_blocking(move || {
                let Ok(mut follower) = shared.lock() else { return Ok(0) };
                follower.step(BATCH, |app| known.contains(&app))
            });
            match read.await {
                Ok(Ok(n)) if n >= BATCH => {}
                Ok(Err(err)) => tracing::warn!("could not read the router's lines, retrying: {err}"),
                _ => tokio::time::sleep(IDLE).await,
            }
        }
    }
}

/// Reads everything that is there once more, at the end.
pub(crate) async fn drain(platform: &Platform) {
    let all = platform.ingest().all();
    let _ = tokio::task::spawn_blocking(move || all.iter().for_each(|(_, f)| while step(f) > 0 {})).await;
}
