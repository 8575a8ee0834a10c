//! Destroying an app: the job that removes all of its resources once it is hidden.

use std::time::Duration;

use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use base::Kind;
use chrono::Utc;
use uuid::Uuid;

use crate::{Platform, destroy::Destroy, leftovers, slugs};

#[async_trait]
impl Job for Destroy {
    const KIND: &'static str = "apps.destroy";
    // Everything here is removal, which is retried until the disk or the database is back.
    const ATTEMPTS: i32 = 1000;
    const CANCEL: Cancel = Cancel::Instead("A destroyed app cannot be restored; this job removes what is left of it.");
    type Context = Platform;

    fn subject(&self) -> Uuid {
        self.app.get()
    }

    async fn run(&self, platform: &Platform, steps: &mut Steps) -> Result<(), Failure> {
        steps.once("cancel builds", self.cancel_builds(platform)).await?;
        // After the builds, which create releases.
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
        wait_for_none("builds", left).await
    }

    async fn cancel_releases(&self, platform: &Platform) -> Result<(), Failure> {
        store::releases::release_cancel_all(platform.db(), self.app, Utc::now()).await?;
        platform.publish(Kind::Release, self.app);
        let left = || store::releases::release_pending_count(platform.db(), self.app);
        wait_for_none("releases", left).await
    }

    async fn stop_dynos(&self, platform: &Platform) -> Result<(), Failure> {
        store::dynos::dyno_stop(platform.db(), self.app, store::dynos::Which::All, Utc::now()).await?;
        store::one_offs::one_off_stop(platform.db(), self.app, None, Utc::now()).await?;
        platform.publish(Kind::Dyno, self.app);
        let left = || async {
            let dynos = store::dynos::dyno_list(platform.db(), self.app).await?.len();
            let one_offs = store::one_offs::one_off_names(platform.db(), self.app).await?.len();
            Ok((dynos + one_offs) as i64)
        };
        wait_for_none("dynos", left).await
    }

    async fn remove_files(&self, platform: &Platform) -> Result<(), Failure> {
        slugs::archives::remove_of_app(platform, self.app).await?;
        leftovers::remove(platform, self.app).await?;
        Ok(())
    }
}

/// How often to check whether everything has ended, besides when a part [has](crate::destroy::part_ended).
const PAUSE: Duration = Duration::from_secs(5);

/// Waits without holding a worker: many apps may be destroyed at once, and dynos have 30 seconds to stop.
async fn wait_for_none<F: Future<Output = sqlx::Result<i64>>>(what: &str, left: impl Fn() -> F) -> Result<(), Failure> {
    match left().await? {
        0 => Ok(()),
        n => Err(Failure::wait(PAUSE, format!("{n} {what} to end"))),
    }
}
