//! Retention: deletes what cannot be requested any more.

use std::{collections::HashSet, io, path::Path, time::Duration};

use async_trait::async_trait;
use background::{Reconciler, Report};
use chrono::Utc;
use store::queues::{BUILDS, RELEASES};
use uuid::Uuid;

use crate::{Platform, addresses, app_users, outputs, slugs, sources};

/// The output of this many builds of an app is kept, and of as many releases: of the newest.
pub(crate) const KEPT_OUTPUTS: usize = 100;

/// Deletes expired uploads, links and sessions, old jobs, and the output of old builds and releases.
pub(crate) struct Retention(pub Platform);

#[async_trait]
impl Reconciler for Retention {
    const NAME: &'static str = "retention";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let (db, now) = (self.0.db(), Utc::now());
        let day = chrono::Duration::days(1);
        let mut report = Report { again_in: Some(Duration::from_secs(3600)), ..Report::default() };
        match addresses::seal_old(&self.0).await {
            Ok(0) => {}
            Ok(sealed) => report.done.push(format!("encrypted the URLs of {sealed} apps and builds")),
            Err(err) => report.failed.push(format!("{err:#}")),
        }
        report.done.extend(sources::sweep(&self.0).await?);
        report.done.extend(slugs::archives::sweep(&self.0).await?);
        report.done.extend(old_outputs(&self.0).await?);
        report.failed.extend(identity::forget_old(self.0.base(), now).await?);
        store::jobs::job_sweep(db, now - day * 7).await?;
        let history = self.0.history().clone();
        tokio::task::spawn_blocking(move || history.expire(now)).await??;
        let data = self.0.config().data.clone();
        report.done.extend(tokio::task::spawn_blocking(move || app_users::sweep(&data)).await??);
        Ok(report)
    }
}

/// Removes the outputs of all but the newest builds and releases of each app. Says how many.
async fn old_outputs(platform: &Platform) -> anyhow::Result<Vec<String>> {
    let folder = outputs::folder(platform);
    let mut done = Vec::new();
    for (app, files) in tokio::task::spawn_blocking(move || with_many_outputs(&folder)).await?? {
        let mut kept = HashSet::new();
        for queue in [&BUILDS, &RELEASES] {
            kept.extend(queue.newest(platform.db(), app, KEPT_OUTPUTS as i64).await?);
        }
        let mut removed = 0;
        for id in files.into_iter().filter(|id| !kept.contains(id)) {
            removed += 1;
            for file in [outputs::build_file(platform, app, id), outputs::release_file(platform, app, id)] {
                match tokio::fs::remove_file(file).await {
                    Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err.into()),
                    _ => {}
                }
            }
        }
        if removed > 0 {
            done.push(format!("removed {removed} old outputs of the app {app}"));
        }
    }
    Ok(done)
}

/// The apps with more outputs than are kept of its builds alone, and whose outputs these are.
fn with_many_outputs(folder: &Path) -> io::Result<Vec<(Uuid, Vec<Uuid>)>> {
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
