//! Starts and stops a platform: its jobs, its reconcilers, and the ingestion of logs.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use base::{Base, events, exchange};
use dyno::Driver;
use identity::{Identity, accounts};
use tokio::sync::Notify;

use crate::{
    Platform, app_destruction::Destroy, app_users, builds, config::Config, dynos, housekeeping::Clean, ingest,
    leftovers, releases, retention::Retain, schedules, slugs, strays::Strays, uploads, work::Work,
};

impl Platform {
    /// Connects, brings the schema up to date, makes the first account, and starts to work:
    /// jobs, reconcilers, the reading of logs.
    ///
    /// # Errors
    /// A sentence that says what is missing or wrong on this machine.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let caller = Some(builds::caller(&config));
        let host = dyno::Host { allowed_ports: config.public_ports(), caller, ..config.host.clone() };
        let driver = dyno::ProcessDriver::new(&config.data, &host).context("set up dynos")?;
        Self::start_with(config, Arc::new(driver)).await
    }

    /// As [`Platform::start`], with a driver of one's own. For tests.
    pub async fn start_with(config: Config, driver: Arc<dyn Driver>) -> anyhow::Result<Self> {
        for folder in ["git", "slugs", "cache", "unpacked", "builds", "logs", "sources", "tmp", "metrics"] {
            let folder = config.data.join(folder);
            std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        for path in leftovers::sweep(&config.data).context("clean up after an earlier server")? {
            tracing::info!("removed the incomplete {}", path.display());
        }
        let identity = Identity::new(Base::open(config.settings.clone()).await?);
        let platform = Self::open(config, identity, driver)?;
        accounts::first_admin(&platform, &platform.config().data.join("admin-token")).await?;
        events::seal_first(&platform).await.map_err(|err| anyhow::anyhow!("seal the audit log: {err}"))?;
        events::anchor::update(&platform).await.map_err(|err| anyhow::anyhow!("anchor the audit log: {err}"))?;
        repositories::prepare(&platform.config().data).context("prepare the git hooks")?;
        app_users::renew(&platform).await.context("give the apps' files to their users")?;
        platform.begin_work().await?;
        Ok(platform)
    }

    async fn begin_work(&self) -> anyhow::Result<()> {
        background::take_over(self.db()).await.context("resume the jobs of the previous server")?;
        uploads::take_over(self).await.context("end the uploads of the previous server")?;
        let leases = background::Leases::start(self.db()).context("renew the leases of jobs")?;
        let (workers, unpacking, kinds) = self.workers(&leases).await;
        let (every, queues) = (Duration::from_secs(2), self.config().queue_interval);
        let [dynos, builds, releases, slugs] = self.wakes();
        let reconcilers = vec![
            background::Driver::start(dynos::Reconcile::new(self.clone()), every, dynos),
            background::Driver::start(builds::Queue::new(self.clone()), queues, builds),
            background::Driver::start(releases::Queue(self.clone()), queues, releases),
            background::Driver::start(slugs::Unpacked::new(self.clone()), Duration::from_secs(10), slugs),
            background::Driver::start(Strays::new(self.clone()), Duration::from_secs(30), Arc::new(Notify::new())),
        ];
        let tasks = vec![
            tokio::spawn(ingest::run(self.clone())),
            tokio::spawn(exchange::run(self.base().clone())),
            tokio::spawn(events::anchor::run(self.base().clone())),
        ];
        let scheduler = background::Scheduler::start(self.db().clone(), &schedules::all()?).await?;
        let scheduler = Some(scheduler);
        let leases = Some(leases);
        let work = Work { leases, workers, unpacking: Some(unpacking), kinds, scheduler, reconcilers, tasks };
        self.background().begin(work)
    }

    /// Every kind of job has workers of its own, so that none waits for another kind: as many as have a place in its
    /// queue, and some for what ends at once; those on a schedule share theirs. The one that unpacks slugs comes last.
    async fn workers(
        &self,
        leases: &background::Leases,
    ) -> (Vec<background::Worker>, background::Worker, Vec<background::Kind>) {
        let mut kinds = Vec::new();
        let mut start = |jobs: background::Registry, most| {
            kinds.extend(jobs.kinds());
            background::Worker::start(self.db().clone(), jobs, most, leases.clone())
        };
        let none = background::Registry::default;
        let building = self.config().build_concurrency.saturating_add(8);
        let releasing = usize::try_from(releases::PLACES.all).unwrap_or(1) + 16;
        let workers = vec![
            start(none().with::<Destroy>(self.clone()), 16).await,
            start(none().with::<builds::Run>(self.clone()), building).await,
            start(none().with::<releases::Run>(self.clone()), releasing).await,
            start(none().with::<Retain>(self.clone()).with::<Clean>(self.clone()), 2).await,
        ];
        let unpacking = start(none().with::<slugs::Unpack>(self.clone()), 8).await;
        (workers, unpacking, kinds)
    }

    /// Stops working. With `stop_dynos`, all dynos, builds and release phases are told to stop and have 30 seconds to do so;
    /// otherwise they go on running and the next start takes them up again.
    pub async fn stop(&self, stop_dynos: bool) {
        let leases = self.background().with(|work| {
            work.scheduler = None;
            work.workers.clear();
            work.unpacking = None;
            work.reconcilers.clear();
            work.tasks.drain(..).for_each(|task| task.abort());
            work.leases.take()
        });
        if stop_dynos && let Err(err) = dynos::stop_all(self).await {
            tracing::error!("could not stop everything that runs: {err:#}");
        }
        if let Some(leases) = leases.flatten()
            && let Err(err) = background::put_back(self.db(), &leases).await
        {
            tracing::warn!("could not requeue running jobs: {err}");
        }
        ingest::drain(self).await;
        let platform = self.clone();
        let _ = tokio::task::spawn_blocking(move || platform.log_writer().flush()).await;
        if let Err(err) = events::anchor::update(self).await {
            tracing::warn!("could not anchor the audit log: {err}");
        }
        self.db().close().await;
    }

    /// Takes up no more jobs but those that unpack slugs, and begins none on a schedule, so that a test can do it itself.
    #[cfg(feature = "testing")]
    pub fn leave_jobs(&self) {
        self.background().with(|work| {
            work.scheduler = None;
            work.workers.clear();
        });
    }

    /// Looks at the queues, as happens now and then, for what a test has changed behind the platform's back.
    #[cfg(feature = "testing")]
    pub fn look_at_queues(&self) {
        let [_, builds, releases, _] = self.wakes();
        [builds, releases].iter().for_each(|waker| waker.notify_one());
    }

    /// Unpacks no more slugs, so that a test can do it itself.
    #[cfg(feature = "testing")]
    pub fn leave_slugs(&self) {
        self.background().with(|work| {
            work.unpacking = None;
            work.reconcilers.retain(|reconciler| reconciler.seen().name != "slugs");
        });
    }
}
