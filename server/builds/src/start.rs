//! Startup of this area: its jobs, its schedule, its part in retention, and its queue.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Context as _;
use api::ids::{BuildId, RunId};
use async_trait::async_trait;
use platform::{
    Platform,
    work::{AreaWork, DynoFiles, RetentionPart},
};

use crate::{
    Builds, addresses, builds, config::Config, housekeeping::Clean, leftovers, runtimes::Runtimes, sources, uploads,
};

/// The number of newest builds of an app that are kept.
const KEPT_BUILDS: i64 = 5000;

impl Builds {
    /// Opens what this area has on disk, and cleans up after an earlier server. Call it before `platform` begins its
    /// work.
    ///
    /// # Errors
    /// A sentence that says what is missing or wrong on this machine.
    pub async fn open(platform: Platform, config: Config) -> anyhow::Result<Self> {
        for folder in ["git", "cache", "sources"] {
            let folder = config.data.join(folder);
            std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        for path in leftovers::sweep(&config.data).context("clean up after an earlier server")? {
            tracing::info!("removed the incomplete {}", path.display());
        }
        repositories::prepare(&config.data).context("prepare the git hooks")?;
        uploads::take_over(&platform).await.context("end the uploads of the previous process")?;
        let runtimes = Runtimes::open(&config.data)?;
        Ok(Self::new(platform, config, runtimes))
    }

    /// The background work of this area, for [`Platform::begin_work`].
    ///
    /// # Errors
    /// When a schedule cannot be read.
    pub fn work(&self) -> anyhow::Result<AreaWork> {
        let none = background::Registry::default;
        let building = self.config().build_concurrency.saturating_add(8);
        let clean = background::Schedule::new(
            "repositories",
            "Removes leftovers of interrupted pushes from repositories, and packs those that have become fragmented.",
            ("37 * * * *", "Etc/UTC"),
            &Clean {},
        )?;
        Ok(AreaWork {
            jobs: vec![(none().with::<builds::Run>(self.clone()), building), (none().with::<Clean>(self.clone()), 1)],
            schedules: vec![clean.and_at_start()],
            retention: vec![
                RetentionPart::new(
                    "encrypt old URLs",
                    self,
                    |builds| async move { addresses::seal_old(&builds).await },
                ),
                RetentionPart::new("remove the oldest builds", self, |builds| async move {
                    let gone = store::builds::build_sweep(builds.db(), KEPT_BUILDS).await?;
                    Ok((gone > 0).then(|| format!("removed {gone} old builds")).into_iter().collect())
                }),
                RetentionPart::new(
                    "remove unused uploads",
                    self,
                    |builds| async move { sources::sweep(&builds).await },
                ),
            ],
            files: vec![Arc::new(self.clone())],
        })
    }

    /// Starts the queue. `platform` has to have begun its work; it stops the queue when it stops.
    pub fn start(&self) {
        let (every, waker) = (self.config().queue_interval, self.waker_of_queue().clone());
        self.also_run(vec![background::Driver::start(builds::Queue::new(self.clone()), every, waker)], Vec::new());
    }
}

#[async_trait]
impl DynoFiles for Builds {
    async fn left(&self) -> anyhow::Result<BTreeSet<RunId>> {
        Ok(builds::left(self).await?.into_iter().map(RunId::from).collect())
    }

    async fn abandon(&self, run: RunId) -> anyhow::Result<()> {
        builds::abandon(self, BuildId(run.get())).await
    }
}
