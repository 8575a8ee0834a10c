//! Destroying an app: the job that removes everything of it after it has become invisible.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use background::{Failure, Job, Steps};
use base::{Kind, bus};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Platform, slugs};

/// What was told to end has this long to do so,
const PATIENCE: Duration = Duration::from_secs(60);
/// and is looked at this often, and whenever a change of the app is published.
const AGAIN: Duration = Duration::from_secs(2);

/// Takes a destroyed app apart: dynos, builds, files, log, rows.
#[derive(Serialize, Deserialize)]
pub struct Destroy {
    pub app: Uuid,
}

#[async_trait]
impl Job for Destroy {
    const KIND: &'static str = "apps.destroy";
    // Everything here is removal, which can be tried again until the disk or the database is back.
    const ATTEMPTS: i32 = 1000;
    type Context = Platform;

    fn subject(&self) -> Uuid {
        self.app
    }

    async fn run(&self, platform: &Platform, steps: &mut Steps) -> Result<(), Failure> {
        steps.once("cancel builds", self.cancel_builds(platform)).await?;
        // After the builds, which make releases.
        steps.once("cancel releases", self.cancel_releases(platform)).await?;
        steps.once("stop dynos", self.stop_dynos(platform)).await?;
        steps.once("remove files", self.remove_files(platform)).await?;
        let mut tx = platform.db().begin().await?;
        store::apps::app_delete(&mut tx, self.app).await?;
        tx.commit().await?;
        platform.publish(Kind::App, self.app);
        Ok(())
    }

    async fn give_up(&self, _: &Platform, why: &anyhow::Error) -> anyhow::Result<()> {
        tracing::error!(app.id = %self.app, "could not clean up a destroyed app: {why:#}");
        Ok(())
    }
}

impl Destroy {
    async fn cancel_builds(&self, platform: &Platform) -> Result<(), Failure> {
        for build in store::builds::build_pending_ids(platform.db(), self.app).await? {
            store::builds::build_cancel(platform.db(), build, Utc::now()).await?;
        }
        platform.publish(Kind::Build, self.app);
        let left = || async { Ok(store::builds::build_pending_ids(platform.db(), self.app).await?.len() as i64) };
        self.wait_for_none(platform, "builds", left).await
    }

    async fn cancel_releases(&self, platform: &Platform) -> Result<(), Failure> {
        store::releases::release_cancel_all(platform.db(), self.app, Utc::now()).await?;
        platform.publish(Kind::Release, self.app);
        let left = || store::releases::release_pending_count(platform.db(), self.app);
        self.wait_for_none(platform, "releases", left).await
    }

    async fn stop_dynos(&self, platform: &Platform) -> Result<(), Failure> {
        store::dynos::dyno_stop(platform.db(), self.app, store::dynos::Which::All, Utc::now()).await?;
        platform.publish(Kind::Dyno, self.app);
        let left = || async { Ok(store::dynos::dyno_list(platform.db(), self.app).await?.len() as i64) };
        self.wait_for_none(platform, "dynos", left).await
    }

    /// Waits for what takes its time to end; what does not is left to the next attempt.
    async fn wait_for_none<F: Future<Output = sqlx::Result<i64>>>(
        &self,
        platform: &Platform,
        what: &str,
        left: impl Fn() -> F,
    ) -> Result<(), Failure> {
        let (begun, mut changes) = (Instant::now(), platform.changes());
        loop {
            let left = left().await?;
            if left == 0 {
                return Ok(());
            }
            if begun.elapsed() >= PATIENCE {
                return Err(Failure::Retry(anyhow::anyhow!("{left} {what} still running")));
            }
            let _ = tokio::time::timeout(AGAIN, bus::concerning(&mut changes, Some(self.app))).await;
        }
    }

    async fn remove_files(&self, platform: &Platform) -> Result<(), Failure> {
        slugs::archives::remove_of_app(platform, self.app).await?;
        let id = self.app.to_string();
        platform.history().delete(self.app).map_err(anyhow::Error::new)?;
        let data = &platform.config().data;
        let folders = [
            data.join("git").join(format!("{id}.git")),
            data.join("cache").join(&id),
            data.join("unpacked").join(&id),
            data.join("builds").join(&id),
            data.join("metrics").join(&id),
        ];
        for folder in folders {
            tokio::task::spawn_blocking(move || trees::remove(&folder)).await??;
        }
        Ok(())
    }
}
