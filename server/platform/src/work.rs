//! The background tasks of a platform, and what the areas above add to them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock},
};

use api::ids::RunId;
use async_trait::async_trait;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::task::JoinHandle;

/// Additions of an area above to the background work, other than reconcilers and tasks.
#[derive(Default)]
pub struct AreaWork {
    /// Kinds of jobs, and how many of them run at once.
    pub jobs: Vec<(background::Registry, usize)>,
    /// Its regular jobs.
    pub schedules: Vec<background::Schedule>,
    /// Steps of the job that deletes what is no longer needed. They come before the platform's own.
    pub retention: Vec<RetentionPart>,
    /// The files of its dynos on disk.
    pub files: Vec<Arc<dyn DynoFiles>>,
}

/// A step of retention.
#[derive(Clone)]
pub struct RetentionPart {
    /// Its stored name: verb and object.
    pub name: &'static str,
    work: Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<Vec<String>>> + Send + Sync>,
}

impl RetentionPart {
    /// A step that runs `work` with a clone of `cx`; it returns one line for each thing done.
    pub fn new<C, F>(name: &'static str, cx: &C, work: impl Fn(C) -> F + Send + Sync + 'static) -> Self
    where
        C: Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<Vec<String>>> + Send + 'static,
    {
        let cx = cx.clone();
        Self { name, work: Arc::new(move || work(cx.clone()).boxed()) }
    }

    /// Runs the step; returns one line for each thing done.
    pub(crate) fn run(&self) -> BoxFuture<'static, anyhow::Result<Vec<String>>> {
        (self.work)()
    }
}

/// Files on disk of an area's own dynos, by the ids of these dynos.
#[async_trait]
pub trait DynoFiles: Send + Sync {
    /// The dynos with files on disk, whether or not they are running.
    async fn left(&self) -> anyhow::Result<BTreeSet<RunId>>;

    /// Ends a dyno in any state, and removes its files. Does nothing for one of another area. Must not be called while
    /// a job runs it.
    async fn abandon(&self, run: RunId) -> anyhow::Result<()>;
}

/// Workers, reconcilers and tasks; dropped to stop them.
#[derive(Default)]
pub(crate) struct Work {
    /// The leases of all workers.
    pub leases: Option<background::Leases>,
    pub workers: Vec<background::Worker>,
    pub unpacking: Option<background::Worker>,
    /// All kinds of jobs.
    pub kinds: Vec<background::Kind>,
    pub scheduler: Option<background::Scheduler>,
    pub reconcilers: Vec<background::Driver>,
    pub tasks: Vec<JoinHandle<()>>,
    pub retention: Vec<RetentionPart>,
    pub files: Vec<Arc<dyn DynoFiles>>,
}

/// Started once, stopped at the end.
#[derive(Default)]
pub(crate) struct Background(OnceLock<Mutex<Work>>);

impl Background {
    /// Takes over the started work.
    ///
    /// # Errors
    /// When work was started before.
    pub fn begin(&self, work: Work) -> anyhow::Result<()> {
        self.0.set(Mutex::new(work)).map_err(|_| anyhow::anyhow!("the platform was started twice"))
    }

    /// Gives access to the running work; empty before it was started.
    pub fn with<T>(&self, look: impl FnOnce(&mut Work) -> T) -> Option<T> {
        self.0.get().and_then(|work| work.lock().ok()).map(|mut work| look(&mut work))
    }

    /// The kind of jobs called `name`.
    pub fn kind(&self, name: &str) -> Option<background::Kind> {
        self.with(|work| work.kinds.iter().copied().find(|kind| kind.name == name)).flatten()
    }

    /// The steps of retention that areas above have added.
    pub fn retention(&self) -> Vec<RetentionPart> {
        self.with(|work| work.retention.clone()).unwrap_or_default()
    }

    /// All registered [`DynoFiles`].
    pub fn files(&self) -> Vec<Arc<dyn DynoFiles>> {
        self.with(|work| work.files.clone()).unwrap_or_default()
    }

    pub fn seen(&self) -> Vec<background::Seen> {
        self.with(|work| work.reconcilers.iter().map(background::Driver::seen).collect()).unwrap_or_default()
    }
}
