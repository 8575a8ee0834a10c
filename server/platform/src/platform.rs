//! The platform: the handle that every route, job and reconciler holds.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use dyno::Driver;
use sqlx::PgPool;
use tokio::sync::{Notify, broadcast, watch};
use uuid::Uuid;

use crate::{
    accounts, actor::Actor, app_users, apps, builds, config::Config, dynos, error::Result, events, git, ingest,
    leftovers, live, log_lines, log_sessions, metrics, passwords::Hashing, places::Places, queues::Running,
    rate_limits::RateLimits, releases, secrets::Secrets, slug_files::SlugFiles, slugs, strays::Strays, uploads,
};

/// Everything that rules need. Cheap to clone.
#[derive(Clone)]
pub struct Platform(Arc<Inner>);

struct Inner {
    config: Config,
    db: PgPool,
    secrets: Secrets,
    driver: Arc<dyn Driver>,
    history: Arc<logs::History>,
    series: Arc<monitor::Store>,
    slug_files: SlugFiles,
    builds: Running,
    release_phases: Running,
    git: git::Repositories,
    ingest: ingest::Ingest,
    usages: metrics::Usages,
    router: router::Control,
    rate_limits: RateLimits,
    log_readers: log_lines::Readers,
    streams: Places,
    feeds: live::Feeds,
    hashing: Hashing,
    outbound: outbound::Client,
    slug_checks: Places,
    uploads: Places,
    wake_dynos: Arc<Notify>,
    wake_slugs: Arc<Notify>,
    wake_builds: Arc<Notify>,
    wake_releases: Arc<Notify>,
    changes: broadcast::Sender<Uuid>,
    session_ends: broadcast::Sender<()>,
    newest_event: watch::Sender<i64>,
    started_at: DateTime<Utc>,
    requests: AtomicU64,
    work: OnceLock<Mutex<Work>>,
}

/// What runs in the background; dropped to stop it.
#[derive(Default)]
struct Work {
    workers: Vec<background::Worker>,
    unpacking: Option<background::Worker>,
    reconcilers: Vec<background::Driver>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Platform {
    /// Connects, brings the schema up to date, makes the first account, and starts to work:
    /// jobs, reconcilers, the reading of logs.
    ///
    /// # Errors
    /// A sentence that says what is missing or wrong on this machine.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let caller = Some(builds::caller(&config));
        let host = dyno::Host { doors: config.public_ports(), caller, ..config.host.clone() };
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
        let secrets = Secrets::load(&config.data.join("master.key"), config.master_key.as_deref())?;
        let db = store::open(&config.database_url).await.context("open the platform's database")?;
        let history = logs::History::open(&config.data.join("logs"))?;
        let asks = outbound::Rules { networks: config.outbound_networks.clone(), doors: config.public_ports() };
        let series = monitor::Store::open(&config.data.join("metrics")).context("open the metrics")?;
        let platform = Self(Arc::new(Inner {
            slug_files: SlugFiles::open(&config.data)?,
            router: router::Control::new(&config.run),
            builds: Running::default(),
            release_phases: Running::default(),
            git: git::Repositories::new()?,
            ingest: ingest::Ingest::default(),
            usages: metrics::Usages::default(),
            rate_limits: RateLimits::default(),
            log_readers: log_lines::Readers::default(),
            streams: log_sessions::streams(),
            feeds: live::Feeds::default(),
            hashing: Hashing::default(),
            outbound: outbound::Client::new(asks).context("set up outbound requests")?,
            slug_checks: slugs::checks(),
            uploads: uploads::places(),
            wake_dynos: Arc::new(Notify::new()),
            wake_slugs: Arc::new(Notify::new()),
            wake_builds: Arc::new(Notify::new()),
            wake_releases: Arc::new(Notify::new()),
            changes: broadcast::channel(1024).0,
            session_ends: broadcast::channel(16).0,
            newest_event: watch::Sender::new(0),
            started_at: Utc::now(),
            requests: AtomicU64::new(0),
            work: OnceLock::new(),
            config,
            db,
            secrets,
            driver,
            history,
            series,
        }));
        accounts::first_admin(&platform, &platform.config().data.join("admin-token")).await?;
        events::seal_first(&platform).await.map_err(|err| anyhow::anyhow!("seal the audit log: {err}"))?;
        events::anchor::update(&platform).await.map_err(|err| anyhow::anyhow!("anchor the audit log: {err}"))?;
        git::prepare(&platform.config().data).context("prepare the git hooks")?;
        app_users::renew(&platform).await.context("give the apps' files to their users")?;
        platform.begin_work().await?;
        Ok(platform)
    }

    async fn begin_work(&self) -> anyhow::Result<()> {
        background::take_over(self.db()).await.context("resume the jobs of the previous server")?;
        let (workers, unpacking) = self.workers().await.context("start the workers of jobs")?;
        let (every, queues) = (Duration::from_secs(2), self.config().queue_interval);
        let reconcilers = vec![
            background::Driver::start(dynos::Reconcile::new(self.clone()), every, self.0.wake_dynos.clone()),
            background::Driver::start(builds::Queue::new(self.clone()), queues, self.0.wake_builds.clone()),
            background::Driver::start(releases::Queue(self.clone()), queues, self.0.wake_releases.clone()),
            background::Driver::start(
                slugs::Unpacked::new(self.clone()),
                Duration::from_secs(10),
                self.0.wake_slugs.clone(),
            ),
            background::Driver::start(
                crate::builds::Sweep(self.clone()),
                Duration::from_secs(3600),
                Arc::new(Notify::new()),
            ),
            background::Driver::start(Strays::new(self.clone()), Duration::from_secs(30), Arc::new(Notify::new())),
            background::Driver::start(
                git::Housekeeping(self.clone()),
                Duration::from_secs(3600),
                Arc::new(Notify::new()),
            ),
        ];
        let tasks = vec![
            tokio::spawn(ingest::run(self.clone())),
            tokio::spawn(metrics::sample(self.clone())),
            tokio::spawn(events::watch(self.clone())),
            tokio::spawn(events::anchor::keep(self.clone())),
        ];
        let work = Work { workers, unpacking: Some(unpacking), reconcilers, tasks };
        self.0.work.set(Mutex::new(work)).map_err(|_| anyhow::anyhow!("the platform was started twice"))
    }

    /// Every kind of job has workers of its own, so that none waits for another kind: as many as have a place in its
    /// queue, and some for what ends at once. The one that unpacks slugs comes last.
    async fn workers(&self) -> std::io::Result<(Vec<background::Worker>, background::Worker)> {
        let leases = background::Leases::start(self.db())?;
        let start = |jobs, most| background::Worker::start(self.db().clone(), jobs, most, leases.clone());
        let none = background::Registry::default;
        let building = self.config().build_concurrency.saturating_add(8);
        let releasing = usize::try_from(releases::PLACES.all).unwrap_or(1) + 16;
        let workers = vec![
            start(none().with::<apps::Destroy>(self.clone()), 16).await,
            start(none().with::<builds::Run>(self.clone()), building).await,
            start(none().with::<releases::Run>(self.clone()), releasing).await,
        ];
        Ok((workers, start(none().with::<slugs::Unpack>(self.clone()), 8).await))
    }

    /// Stops working. With `stop_dynos`, all dynos, builds and release phases are told to stop and have 30 seconds to do so;
    /// otherwise they go on running and the next start takes them up again.
    pub async fn stop(&self, stop_dynos: bool) {
        if let Some(work) = self.0.work.get()
            && let Ok(mut work) = work.lock()
        {
            work.workers.clear();
            work.unpacking = None;
            work.reconcilers.clear();
            work.tasks.drain(..).for_each(|task| task.abort());
        }
        if stop_dynos && let Err(err) = dynos::stop_all(self).await {
            tracing::error!("could not stop everything that runs: {err:#}");
        }
        if let Err(err) = background::put_back(self.db()).await {
            tracing::warn!("could not requeue running jobs: {err}");
        }
        ingest::drain(self).await;
        if let Err(err) = events::anchor::update(self).await {
            tracing::warn!("could not anchor the audit log: {err}");
        }
        self.0.db.close().await;
    }

    /// Takes up no more jobs but those that unpack slugs, so that a test can run them itself.
    #[cfg(feature = "testing")]
    pub fn leave_jobs(&self) {
        if let Some(Ok(mut work)) = self.0.work.get().map(Mutex::lock) {
            work.workers.clear();
        }
    }

    /// Looks at the queues, as happens now and then, for what a test has changed behind the platform's back.
    #[cfg(feature = "testing")]
    pub fn look_at_queues(&self) {
        self.wake_builds();
        self.wake_releases();
    }

    /// Unpacks no more slugs, so that a test can do it itself.
    #[cfg(feature = "testing")]
    pub fn leave_slugs(&self) {
        if let Some(Ok(mut work)) = self.0.work.get().map(Mutex::lock) {
            work.unpacking = None;
            work.reconcilers.retain(|reconciler| reconciler.seen().name != "slugs");
        }
    }

    /// What the platform was told at its start.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn db(&self) -> &PgPool {
        &self.0.db
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    pub(crate) fn driver(&self) -> &Arc<dyn Driver> {
        &self.0.driver
    }

    pub(crate) fn history(&self) -> &Arc<logs::History> {
        &self.0.history
    }

    pub(crate) fn series(&self) -> &Arc<monitor::Store> {
        &self.0.series
    }

    pub(crate) fn slug_files(&self) -> &SlugFiles {
        &self.0.slug_files
    }

    /// The builds that run in this process.
    pub(crate) fn builds(&self) -> &Running {
        &self.0.builds
    }

    /// The releases whose phase runs in this process.
    pub(crate) fn release_phases(&self) -> &Running {
        &self.0.release_phases
    }

    pub(crate) fn git(&self) -> &git::Repositories {
        &self.0.git
    }

    pub(crate) fn usages(&self) -> &metrics::Usages {
        &self.0.usages
    }

    pub(crate) fn ingest(&self) -> &ingest::Ingest {
        &self.0.ingest
    }

    pub(crate) fn router(&self) -> &router::Control {
        &self.0.router
    }

    pub(crate) fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }

    /// Places of those who read logs.
    pub(crate) fn log_readers(&self) -> &log_lines::Readers {
        &self.0.log_readers
    }

    /// What pages follow, and places to follow it.
    pub(crate) fn feeds(&self) -> &live::Feeds {
        &self.0.feeds
    }

    /// Places to follow something: open streams and sockets.
    pub(crate) fn streams(&self) -> &Places {
        &self.0.streams
    }

    pub(crate) fn hashing(&self) -> &Hashing {
        &self.0.hashing
    }

    /// Who asks every address that somebody gave.
    pub(crate) fn outbound(&self) -> &outbound::Client {
        &self.0.outbound
    }

    pub(crate) fn count_request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks the dyno reconciler for a run now.
    pub(crate) fn wake_dynos(&self) {
        self.0.wake_dynos.notify_one();
    }

    /// Asks for slugs to be unpacked that are needed and not there.
    pub(crate) fn wake_slugs(&self) {
        self.0.wake_slugs.notify_one();
    }

    /// Places to have an uploaded slug checked.
    pub(crate) fn slug_checks(&self) -> &Places {
        &self.0.slug_checks
    }

    /// Places to upload something.
    pub(crate) fn uploads(&self) -> &Places {
        &self.0.uploads
    }

    /// Asks for a look at the queue of builds now.
    pub(crate) fn wake_builds(&self) {
        self.0.wake_builds.notify_one();
    }

    /// Asks for a look at the queue of release phases now.
    pub(crate) fn wake_releases(&self) {
        self.0.wake_releases.notify_one();
    }

    /// Tells whoever watches that something about `app` is not what it was.
    pub(crate) fn changed(&self, app: Uuid) {
        let _ = self.0.changes.send(app);
    }

    /// Ids of apps, as they change.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.0.changes.subscribe()
    }

    /// Has open streams look again whether their session still exists.
    pub(crate) fn session_ended(&self) {
        let _ = self.0.session_ends.send(());
    }

    /// Has open streams look again whether their reader may still read, and lists who is in them.
    pub(crate) fn rights_changed(&self) {
        self.session_ended();
        self.changed(Uuid::nil());
    }

    pub(crate) fn session_ends(&self) -> broadcast::Receiver<()> {
        self.0.session_ends.subscribe()
    }

    /// The number of the newest event of the audit log, as it grows.
    pub(crate) fn newest_event(&self) -> &watch::Sender<i64> {
        &self.0.newest_event
    }

    /// A line in an app's log from the API: `app[api]: …`.
    pub(crate) fn said(&self, app: Uuid, dyno: &str, text: &str) {
        self.write(app, logs::NewLine::app(Utc::now(), dyno, text));
    }

    /// A line in an app's log from the supervisor: `heroku[web.1]: …`.
    pub(crate) fn supervisor_said(&self, app: Uuid, dyno: &str, text: &str) {
        self.write(app, logs::NewLine::heroku(Utc::now(), dyno, text));
    }

    fn write(&self, app: Uuid, line: logs::NewLine) {
        if let Err(err) = self.history().append(app, vec![line]) {
            tracing::error!(app.id = %app, "could not write to the app's log: {err}");
        }
    }

    fn seen(&self) -> Vec<background::Seen> {
        let work = self.0.work.get().and_then(|work| work.lock().ok());
        work.map(|work| work.reconcilers.iter().map(background::Driver::seen).collect()).unwrap_or_default()
    }
}

/// `GET /platform`
pub async fn platform_info(
    State(platform): State<Platform>,
    actor: Actor,
) -> Result<Json<api::platform::PlatformInfo>> {
    actor.must_administer()?;
    Ok(Json(info(&platform).await?))
}

/// What the machinery does. Also a topic of `/live`.
pub(crate) async fn info(platform: &Platform) -> Result<api::platform::PlatformInfo> {
    let jobs = store::jobs::job_list(platform.db()).await?.into_iter().map(|row| api::platform::JobInfo {
        id: row.id,
        kind: row.kind,
        subject: row.subject,
        state: row.state,
        attempt: row.attempt,
        crashes: row.crashes,
        run_at: row.run_at,
        error: row.error,
        created_at: row.created_at,
    });
    let reconcilers = platform.seen().into_iter().map(|seen| api::platform::ReconcilerInfo {
        name: seen.name.into(),
        runs: seen.runs,
        last_run_at: seen.last_run_at,
        duration_ms: u64::try_from(seen.duration.as_millis()).unwrap_or(u64::MAX),
        done: seen.report.done,
        failed: seen.report.failed,
    });
    let disk = disk(platform);
    Ok(api::platform::PlatformInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: platform.0.started_at,
        url: platform.config().url(),
        jobs: jobs.collect(),
        reconcilers: reconcilers.collect(),
        checks: checks(platform, disk).await,
        disk,
    })
}

fn disk(platform: &Platform) -> api::platform::DiskInfo {
    match nix::sys::statvfs::statvfs(&platform.config().data) {
        Ok(s) => api::platform::DiskInfo {
            total: s.blocks() * s.fragment_size(),
            free: s.blocks_available() * s.fragment_size(),
        },
        Err(_) => api::platform::DiskInfo::default(),
    }
}

async fn checks(platform: &Platform, disk: api::platform::DiskInfo) -> Vec<api::platform::Check> {
    let check = |name: &str, ok: bool, detail: String| api::platform::Check { name: name.into(), ok, detail };
    let router = platform.router().version().await;
    let gigabytes = |n: u64| format!("{:.1} GB", n as f64 / f64::from(1 << 30));
    vec![
        check(
            "Disk",
            disk.free > disk.total / 20 && disk.free > 2 << 30,
            format!(
                "{} of {} free. Below 5 % or 2 GB, builds and databases are at risk: remove old apps or add space.",
                gigabytes(disk.free),
                gigabytes(disk.total)
            ),
        ),
        check("Database", true, "The platform's database is responding.".into()),
        match router {
            Ok(_) => check("Router", true, "The router is responding.".into()),
            Err(err) => {
                check("Router", false, format!("The router is not responding: {err}. It is restarted automatically."))
            }
        },
    ]
}
