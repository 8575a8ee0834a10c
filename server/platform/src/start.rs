//! Starts and stops a platform: its jobs, its reconcilers, and the ingestion of logs.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use base::{Base, events, exchange};
use dyno::Driver;
use identity::{Identity, accounts, mails::SendMail};
use tokio::sync::Notify;

use crate::{
    Platform, app_users,
    config::Config,
    destroy::Destroy,
    dynos, ingest, releases,
    retention::Retain,
    slugs,
    strays::Strays,
    work::{AreaWork, Work},
};

impl Platform {
    /// Connects to the database, migrates the schema, and creates the first account. Work begins with
    /// [`begin_work`](Self::begin_work), when the areas above are ready.
    ///
    /// # Errors
    /// A sentence that says what is missing or wrong on this machine.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let host = dyno::Host { allowed_ports: config.public_ports(), ..config.host.clone() };
        let driver = dyno::ProcessDriver::new(&config.data, &host).context("set up dynos")?;
        Self::open_with(config, Arc::new(driver)).await
    }

    /// Like [`Platform::open`], with the given driver. For tests.
    ///
    /// # Errors
    /// As [`Platform::open`].
    pub async fn open_with(config: Config, driver: Arc<dyn Driver>) -> anyhow::Result<Self> {
        for folder in ["slugs", "unpacked", "builds", "logs", "tmp", "metrics"] {
            let folder = config.data.join(folder);
            std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        let identity = Identity::new(Base::open(config.settings.clone()).await?);
        let platform = Self::new(config, identity, driver)?;
        accounts::first_admin(&platform, &platform.config().data.join("admin-token")).await?;
        events::seal_first(&platform).await.map_err(|err| anyhow::anyhow!("seal the audit log: {err}"))?;
        events::anchor::update(&platform).await.map_err(|err| anyhow::anyhow!("anchor the audit log: {err}"))?;
        app_users::renew(&platform).await.context("change the owners of the apps' files")?;
        Ok(platform)
    }

    /// Starts the background work, including that of the areas above: jobs, reconcilers, log ingestion.
    ///
    /// # Errors
    /// When the database cannot be used, or this was called before.
    pub async fn begin_work(&self, areas: AreaWork) -> anyhow::Result<()> {
        let AreaWork { jobs, schedules, retention, files } = areas;
        // Jobs and reconcilers use these.
        self.background().begin(Work { retention, files, ..Work::default() })?;
        let server = self.server_id();
        background::take_over(self.db(), server).await.context("resume the jobs of the previous process")?;
        let leases = background::Leases::start(self.db()).context("renew the leases of jobs")?.of_server(server);
        let (workers, unpacking, kinds) = self.job_workers(&leases, jobs);
        // Everything that it acts on wakes it, but for the restart of a router, which may have an old table.
        let (every, queues) = (Duration::from_secs(5), self.config().queue_interval);
        let [dynos, releases, slugs] = self.wakes();
        let reconcilers = vec![
            background::Driver::start(dynos::Reconcile::new(self.clone()), every, dynos),
            background::Driver::start(releases::Queue(self.clone()), queues, releases),
            background::Driver::start(slugs::Unpacked::new(self.clone()), Duration::from_secs(10), slugs),
            background::Driver::start(Strays::new(self.clone()), Duration::from_secs(30), Arc::new(Notify::new())),
        ];
        let tasks = vec![
            tokio::spawn(ingest::run(self.clone())),
            tokio::spawn(exchange::run(self.base().clone())),
            tokio::spawn(events::anchor::run(self.base().clone())),
        ];
        let schedules = [own_schedules()?, schedules].concat();
        let scheduler = background::Scheduler::start(self.db().clone(), &schedules).await?;
        self.background().with(|work| {
            (work.leases, work.scheduler, work.unpacking) = (Some(leases), Some(scheduler), Some(unpacking));
            (work.workers, work.kinds, work.reconcilers, work.tasks) = (workers, kinds, reconcilers, tasks);
        });
        Ok(())
    }

    /// Every kind of job has its own workers, so that none waits for another kind: as many as its queue has slots, and
    /// some for jobs that end immediately. `jobs` are those of the areas above. The one that unpacks slugs comes last.
    fn job_workers(
        &self,
        leases: &background::Leases,
        jobs: Vec<(background::Registry, usize)>,
    ) -> (Vec<background::Worker>, background::Worker, Vec<background::Kind>) {
        let mut kinds = Vec::new();
        let mut start = |jobs: background::Registry, most| {
            kinds.extend(jobs.kinds());
            let waker = self.listener(background::CHANNEL);
            background::Worker::start(self.db().clone(), jobs, most, leases.clone(), waker)
        };
        let none = background::Registry::default;
        let releasing = usize::try_from(releases::SLOTS.all).unwrap_or(1) + 16;
        let mut workers = vec![
            start(none().with::<Destroy>(self.clone()), 16),
            start(none().with::<releases::Run>(self.clone()), releasing),
            start(none().with::<Retain>(self.clone()), 1),
            start(none().with::<SendMail>(self.identity().clone()), 4),
        ];
        for (registry, most) in jobs {
            workers.push(start(registry, most));
        }
        let unpacking = start(none().with::<slugs::Unpack>(self.clone()), 8);
        (workers, unpacking, kinds)
    }

    /// Stops the background work. With `stop_dynos`, all dynos, builds and release phases are stopped and have 30
    /// seconds to exit; otherwise they keep running, and the next start reattaches to them.
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
            tracing::error!("could not stop all dynos: {err:#}");
        }
        if let Some(leases) = leases.flatten()
            && let Err(err) = background::requeue_all(self.db(), &leases).await
        {
            tracing::warn!("could not requeue running jobs: {err}");
        }
        // These hold the areas, which hold this platform.
        self.background().with(|work| {
            work.retention.clear();
            work.files.clear();
        });
        ingest::drain(self).await;
        let platform = self.clone();
        let _ = tokio::task::spawn_blocking(move || platform.log_writer().flush()).await;
        if let Err(err) = events::anchor::update(self).await {
            tracing::warn!("could not anchor the audit log: {err}");
        }
        self.let_go_of_server_id().await;
        self.db().close().await;
    }

    /// Stops taking jobs, except those that unpack slugs, and stops the scheduler, so that a test can run them itself.
    #[cfg(feature = "testing")]
    pub fn leave_jobs(&self) {
        self.background().with(|work| {
            work.scheduler = None;
            work.workers.clear();
        });
    }

    /// Checks the queue of releases, as happens regularly, for changes that a test has made directly in the database.
    #[cfg(feature = "testing")]
    pub fn look_at_queue(&self) {
        let [_, releases, _] = self.wakes();
        releases.notify_one();
    }

    /// Stops unpacking slugs, so that a test can do it itself.
    #[cfg(feature = "testing")]
    pub fn leave_slugs(&self) {
        self.background().with(|work| {
            work.unpacking = None;
            work.reconcilers.retain(|reconciler| reconciler.seen().name != "slugs");
        });
    }
}

/// The platform's own schedules. They also run at startup, which encrypts URLs that an earlier version has stored
/// unencrypted.
fn own_schedules() -> anyhow::Result<Vec<background::Schedule>> {
    let retention = background::Schedule::new(
        "retention",
        "Removes expired sessions, links, uploads, log lines and old jobs.",
        ("7 * * * *", "Etc/UTC"),
        &Retain {},
    )?;
    Ok(vec![retention.and_at_start()])
}
