//! Retention: deletes data that can no longer be requested.

use std::{collections::HashSet, io, path::Path};

use anyhow::bail;
use api::ids::AppId;
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use chrono::Utc;
use futures::{FutureExt as _, future::BoxFuture};
use serde::{Deserialize, Serialize};
use store::queues::{BUILDS, RELEASES};
use uuid::Uuid;

use crate::{
    Platform, app_users, leftovers,
    outputs::{self, Of},
    slugs,
};

/// The number of newest builds of an app whose output is kept, and likewise of releases.
pub(crate) const KEPT_OUTPUTS: usize = 100;

/// The number of newest releases of an app that are kept. Older ones are deleted with the slugs and config vars that
/// only they refer to.
const KEPT_RELEASES: i64 = 5000;
/// The number of newest finished jobs of each kind that are kept, for a week at most.
const KEPT_JOBS: i64 = 10_000;

/// Deletes expired uploads, links and sessions, old jobs and log lines, and the output of old builds and releases.
#[derive(Serialize, Deserialize)]
pub struct Retain {}

#[async_trait]
impl Job for Retain {
    const KIND: &'static str = "retention.run";
    /// After that, the schedule retries within the hour.
    const ATTEMPTS: i32 = 4;
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = Platform;

    fn subject(&self) -> Uuid {
        background::PLATFORM
    }

    async fn run(&self, platform: &Platform, steps: &mut Steps) -> Result<(), Failure> {
        let (progress, mut failed) = (steps.progress(), Vec::new());
        let parts = parts(platform);
        let all = parts.len() as f64;
        for (n, (name, work)) in parts.into_iter().enumerate() {
            progress.report(Some(n as f64 / all), name);
            let done = steps.once(name, async { Ok(work.await?) }).await;
            match done {
                Ok(done) => done.iter().for_each(|line: &String| tracing::info!("{line}")),
                // A failed part does not stop the others.
                Err(Failure::Retry(err)) => failed.push(format!("{name}: {err:#}")),
                Err(other) => return Err(other),
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Failure::Retry(anyhow::anyhow!(failed.join("; ")))),
        }
    }

    async fn give_up(&self, _: &Platform, why: &anyhow::Error) -> anyhow::Result<()> {
        tracing::error!("could not remove everything that is no longer needed: {why:#}");
        Ok(())
    }

    async fn cancelled(&self, _: &Platform) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A part of the cleanup and its name; it returns one line for each thing done.
type Named<'a> = (&'static str, BoxFuture<'a, anyhow::Result<Vec<String>>>);

/// The parts of the cleanup, one step each.
fn parts(platform: &Platform) -> Vec<Named<'_>> {
    let of_areas = platform.background().retention().into_iter().map(|part| (part.name, part.run()));
    of_areas.chain(Part::ALL.into_iter().map(|part| (part.name(), part.run(platform).boxed()))).collect()
}

/// The platform's own parts.
#[derive(Clone, Copy)]
enum Part {
    Releases,
    Archives,
    Outputs,
    Accounts,
    Jobs,
    Logs,
    Leftovers,
}

impl Part {
    const ALL: [Self; 7] =
        [Self::Releases, Self::Archives, Self::Outputs, Self::Accounts, Self::Jobs, Self::Logs, Self::Leftovers];

    fn name(self) -> &'static str {
        match self {
            Self::Releases => "remove the oldest releases",
            Self::Archives => "remove unused archives",
            Self::Outputs => "remove the output of old builds and releases",
            Self::Accounts => "remove expired sessions, links and invitations",
            Self::Jobs => "remove old jobs",
            Self::Logs => "remove old log lines",
            Self::Leftovers => "remove leftover files of apps",
        }
    }

    /// Runs the step; returns one line for each thing done.
    async fn run(self, platform: &Platform) -> anyhow::Result<Vec<String>> {
        let (db, now) = (platform.db(), Utc::now());
        let day = chrono::Duration::days(1);
        match self {
            Self::Releases => {
                let mut tx = db.begin().await?;
                let gone = store::releases::release_sweep(&mut tx, KEPT_RELEASES).await?;
                tx.commit().await?;
                Ok((gone > 0).then(|| format!("removed {gone} old releases")).into_iter().collect())
            }
            Self::Archives => slugs::archives::sweep(platform).await,
            Self::Outputs => old_outputs(platform).await,
            Self::Accounts => {
                let failed = identity::forget_old(platform.base(), now).await?;
                if !failed.is_empty() {
                    bail!(failed.join("; "));
                }
                Ok(Vec::new())
            }
            Self::Jobs => {
                store::jobs::job_sweep(db, now - day * 7, KEPT_JOBS).await?;
                Ok(Vec::new())
            }
            Self::Logs => {
                let history = platform.history().clone();
                tokio::task::spawn_blocking(move || history.expire(now)).await??;
                Ok(Vec::new())
            }
            Self::Leftovers => {
                let data = platform.config().data.clone();
                let mut done = tokio::task::spawn_blocking(move || app_users::sweep(&data)).await??;
                done.extend(leftovers::sweep(platform, now).await?);
                Ok(done)
            }
        }
    }
}

/// Removes the outputs of all but the newest builds and releases of each app. Returns lines with their number.
async fn old_outputs(platform: &Platform) -> anyhow::Result<Vec<String>> {
    let folder = outputs::folder(platform);
    let mut done = Vec::new();
    for (app, files) in tokio::task::spawn_blocking(move || with_many_outputs(&folder)).await?? {
        let mut kept = HashSet::new();
        let (db, most) = (platform.db(), KEPT_OUTPUTS as i64);
        kept.extend(BUILDS.newest(db, app, most).await?.into_iter().map(Of::Build));
        kept.extend(RELEASES.newest(db, app, most).await?.into_iter().map(Of::Release));
        let mut removed = 0;
        for of in files.into_iter().filter(|of| !kept.contains(of)) {
            removed += 1;
            match tokio::fs::remove_file(of.file(platform, app)).await {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err.into()),
                _ => {}
            }
        }
        if removed > 0 {
            done.push(format!("removed {removed} old outputs of the app {app}"));
        }
    }
    Ok(done)
}

/// The apps with more outputs than the number kept for builds alone, and the folders of these outputs.
fn with_many_outputs(folder: &Path) -> io::Result<Vec<(AppId, Vec<Of>)>> {
    let mut all = Vec::new();
    for app in std::fs::read_dir(folder)? {
        let app = app?;
        let Some(id) = app.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let mut files = Vec::new();
        // It may have been destroyed meanwhile.
        for file in std::fs::read_dir(app.path()).into_iter().flatten() {
            files.extend(file?.file_name().to_str().and_then(outputs::whose));
        }
        if files.len() > KEPT_OUTPUTS {
            all.push((id, files));
        }
    }
    Ok(all)
}
