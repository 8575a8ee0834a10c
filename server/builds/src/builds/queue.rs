//! The queue of builds: a limited number runs at once, and payers take turns. Also wakes those that wait for their
//! release.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use api::ids::{AppId, BuildId};
use async_trait::async_trait;
use background::{Reconciler, Report};
use base::Kind;
use platform::queues;
use store::queues::{BUILDS, Capacity};

use super::{output::print, run::Run};
use crate::Builds;

/// The slots of builds.
fn queue(builds: &Builds) -> queues::Queue<Run, BuildId> {
    let all = i64::try_from(builds.config().build_concurrency).unwrap_or(1);
    let slots = Capacity { all, each: all };
    queues::Queue { rows: &BUILDS, kind: Kind::Build, slots, job: |build| Run { build } }
}

/// Assigns free slots to the builds whose turn it is. The caller commits.
pub(super) async fn start(builds: &Builds, tx: &mut sqlx::PgConnection) -> sqlx::Result<Vec<AppId>> {
    queue(builds).start(tx).await
}

/// Starts the builds whose turn it is, ends cancelled ones, and writes their position in the queue to the output of the
/// others.
pub(crate) struct Queue {
    builds: Builds,
    /// The last message to each build: its position.
    told: HashMap<BuildId, i64>,
    /// The builds whose job was woken because their release is up.
    watching: HashSet<BuildId>,
}

impl Queue {
    /// A queue without messages yet.
    pub fn new(builds: Builds) -> Self {
        Self { builds, told: HashMap::new(), watching: HashSet::new() }
    }

    /// Wakes the jobs of builds whose release has come up or failed. A job that has seen this ends, or waits for what
    /// comes next.
    async fn wake(&mut self) -> anyhow::Result<()> {
        let released = store::builds::build_released(self.builds.db()).await.context("find builds with a release")?;
        self.watching.retain(|build| released.iter().any(|(id, is_watched)| id == build && *is_watched));
        for (build, is_watched) in released {
            if is_watched && !self.watching.insert(build) {
                continue;
            }
            let mut db = self.builds.db().acquire().await?;
            background::wake::<Run>(&mut db, build.get()).await.context("wake a build")?;
        }
        Ok(())
    }

    async fn tell(&mut self) -> anyhow::Result<()> {
        let waiting = store::builds::build_waiting(self.builds.db()).await.context("read the queue of builds")?;
        self.told.retain(|build, _| waiting.iter().any(|(id, ..)| id == build));
        for (build, app, position) in waiting {
            if self.told.insert(build, position) == Some(position) {
                continue;
            }
            let builds = match position {
                1 => "Next in the queue.".to_owned(),
                2 => "1 build ahead.".to_owned(),
                n => format!("{} builds ahead.", n - 1),
            };
            let line = format!("-----> Waiting in the build queue. {builds}");
            print(&self.builds, app, build, &line).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for Queue {
    const NAME: &'static str = "builds";

    async fn run(&mut self) -> anyhow::Result<Report> {
        queue(&self.builds).keep(&self.builds, self.builds.running()).await?;
        self.wake().await?;
        self.tell().await?;
        Ok(Report::default())
    }
}
