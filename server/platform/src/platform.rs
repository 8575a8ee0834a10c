//! The handle of this area, for its routes, jobs and reconcilers.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use api::ids::{AccountId, AppId, ReleaseId};
use axum::extract::FromRef;
use base::{
    Base, Kind, Result,
    slots::{Slot, Slots},
};
use chrono::{DateTime, Utc};
use dyno::Driver;
use identity::{Identity, payers};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use worker::Workers;

use crate::{
    config::Config,
    dynos::looks::{self, Stirred},
    ingest::followers::Ingest,
    log_readers::Readers,
    log_writer::LogWriter,
    running::Running,
    slug_files::SlugFiles,
    usages::Usages,
    work::Background,
};

/// How long a request waits for the router. Its table can also come later.
const ROUTED: Duration = Duration::from_secs(2);

/// Everything that the operations need. Cheap to clone.
#[derive(Clone)]
pub struct Platform(Arc<Inner>);

struct Inner {
    identity: Identity,
    config: Config,
    driver: Arc<dyn Driver>,
    history: Arc<logs::History>,
    log_writer: LogWriter,
    series: Arc<monitor::Store>,
    slug_files: SlugFiles,
    workers: Workers,
    release_phases: Running<ReleaseId>,
    ingest: Ingest,
    usages: Usages,
    router: router::Control,
    /// When the supervisor began to read what the router's table was last made from.
    routed: watch::Sender<Instant>,
    log_readers: Readers,
    streams: Slots,
    wake_dynos: Arc<Notify>,
    stirred: Stirred,
    wake_slugs: Arc<Notify>,
    wake_releases: Arc<Notify>,
    started_at: DateTime<Utc>,
    background: Background,
}

impl Platform {
    /// Opens the platform's files; background work is not started yet.
    pub(crate) fn new(config: Config, identity: Identity, driver: Arc<dyn Driver>) -> anyhow::Result<Self> {
        let history = logs::History::open(&config.data.join("logs"))?;
        let series = monitor::Store::open(&config.data.join("metrics")).context("open the metrics")?;
        Ok(Self(Arc::new(Inner {
            log_writer: LogWriter::start(history.clone()).context("start the log writer")?,
            slug_files: SlugFiles::open(&config.data)?,
            router: router::Control::new(&config.run),
            routed: watch::Sender::new(Instant::now()),
            workers: Workers::new().context("set up the workers")?,
            release_phases: Running::default(),
            ingest: Ingest::default(),
            usages: Usages::default(),
            log_readers: Readers::default(),
            streams: Slots::new("open streams", 50, 0, 5000),
            wake_dynos: identity.waker(looks::WAKING),
            stirred: Stirred::default(),
            wake_slugs: identity.waker(&[Kind::Release]),
            // A suspension cancels release phases.
            wake_releases: identity.waker(&[Kind::App, Kind::Release, Kind::Account]),
            started_at: Utc::now(),
            background: Background::default(),
            identity,
            config,
            driver,
            history,
            series,
        })))
    }

    /// The settings given at startup.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The handle of the area below.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The handle that all areas share.
    pub fn base(&self) -> &Base {
        &self.0.identity
    }

    pub(crate) fn background(&self) -> &Background {
        &self.0.background
    }

    /// Takes over tasks that an area above has started; they stop with the platform, whose work must have begun.
    pub fn also_run(&self, reconcilers: Vec<background::Driver>, tasks: Vec<JoinHandle<()>>) {
        self.background().with(|work| {
            work.reconcilers.extend(reconcilers);
            work.tasks.extend(tasks);
        });
    }

    pub(crate) fn started_at(&self) -> DateTime<Utc> {
        self.0.started_at
    }

    /// The wakers of the reconcilers.
    pub(crate) fn wakes(&self) -> [Arc<Notify>; 3] {
        [&self.0.wake_dynos, &self.0.wake_releases, &self.0.wake_slugs].map(Arc::clone)
    }

    /// Runs dynos.
    pub fn driver(&self) -> &Arc<dyn Driver> {
        &self.0.driver
    }

    /// The logs of all apps.
    pub fn history(&self) -> &Arc<logs::History> {
        &self.0.history
    }

    /// The platform's own lines in apps' logs.
    pub(crate) fn log_writer(&self) -> &LogWriter {
        &self.0.log_writer
    }

    /// The metrics of all apps.
    pub fn series(&self) -> &Arc<monitor::Store> {
        &self.0.series
    }

    /// The archives of slugs, and the unpacked ones.
    pub fn slug_files(&self) -> &SlugFiles {
        &self.0.slug_files
    }

    /// Starts workers.
    pub fn workers(&self) -> &Workers {
        &self.0.workers
    }

    /// The releases whose phase runs in this process.
    pub(crate) fn release_phases(&self) -> &Running<ReleaseId> {
        &self.0.release_phases
    }

    /// The current resource usage of dynos.
    pub fn usages(&self) -> &Usages {
        &self.0.usages
    }

    pub(crate) fn ingest(&self) -> &Ingest {
        &self.0.ingest
    }

    /// The control connection to the router.
    pub fn router(&self) -> &router::Control {
        &self.0.router
    }

    /// Waits until the router of this host has a table that was made from what is in the database now, or could not get
    /// one; for two seconds at most.
    pub(crate) async fn until_routed(&self) {
        let now = Instant::now();
        let mut routed = self.0.routed.subscribe();
        let _ = timeout(ROUTED, routed.wait_for(|begun| *begun >= now)).await;
    }

    /// Records that the router was given a table from what was in the database at `begun` or later.
    pub(crate) fn has_routed(&self, begun: Instant) {
        self.0.routed.send_replace(begun);
    }

    /// Slots for reading logs.
    pub(crate) fn log_readers(&self) -> &Readers {
        &self.0.log_readers
    }

    /// Slots for open streams and sockets.
    pub fn streams(&self) -> &Slots {
        &self.0.streams
    }

    /// A slot for a stream of whoever a pre-signed URL was signed for.
    ///
    /// # Errors
    /// 401 if the account is gone, 429 if its payer has too many open.
    pub async fn stream_slot(&self, account: AccountId) -> Result<Slot> {
        self.streams().try_take(payers::of_account(self, account).await?)
    }

    /// Wakes the dyno reconciler, to continue with what it has left to do.
    pub(crate) fn wake_dynos(&self) {
        self.0.wake_dynos.notify_one();
    }

    /// Makes the dyno reconciler look at an app, because something has happened to one of its processes on this host.
    /// Nothing has changed in the database yet, so other servers have nothing to do.
    pub(crate) fn wake_dynos_of(&self, app: AppId) {
        self.stirred().add(app);
        self.wake_dynos();
    }

    /// The apps that the dyno reconciler was woken for.
    pub(crate) fn stirred(&self) -> &Stirred {
        &self.0.stirred
    }

    /// Wakes the reconciler that unpacks needed slugs which are missing on this host's disk. Nothing has changed in the
    /// database.
    pub fn wake_slugs(&self) {
        self.0.wake_slugs.notify_one();
    }

    /// Writes a line from the API to an app's log: `app[api]: …`.
    pub fn said(&self, app: AppId, dyno: &str, text: &str) {
        self.write(app, logs::NewLine::app(Utc::now(), dyno, text));
    }

    /// Writes a line from the supervisor to an app's log: `heroku[web.1]: …`.
    pub fn supervisor_said(&self, app: AppId, dyno: &str, text: &str) {
        self.write(app, logs::NewLine::heroku(Utc::now(), dyno, text));
    }

    fn write(&self, app: AppId, line: logs::NewLine) {
        self.0.log_writer.write(app, line);
    }
}

impl Deref for Platform {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0.identity
    }
}

impl FromRef<Platform> for Base {
    fn from_ref(platform: &Platform) -> Self {
        platform.base().clone()
    }
}
