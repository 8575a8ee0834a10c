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
    /// The last message to each build.
    told: HashMap<BuildId, String>,
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
        let apps: Vec<AppId> = waiting.iter().map(|(_, app, _)| *app).collect();
        let released = store::builds::build_rolling_out(self.builds.db(), &apps).await.context("find rollouts")?;
        for (build, app, position) in waiting {
            let before =
                released.iter().find(|(other, ..)| *other == app).map(|(_, number, version)| (*number, *version));
            let line = waits(position, before);
            if self.told.get(&build) != Some(&line) {
                print(&self.builds, app, build, &line).await?;
                self.told.insert(build, line);
            }
        }
        Ok(())
    }
}

/// What a waiting build waits for: others in the queue, or an earlier build of its app, whose number and release are
/// `before`, and which only waits for that release.
fn waits(position: i64, before: Option<(i32, i32)>) -> String {
    if let Some((number, version)) = before {
        return format!("-----> Waiting for build {number} of this app: v{version} has to stay up or fail first.");
    }
    let builds = match position {
        1 => "Next in the queue.".to_owned(),
        2 => "1 build ahead.".to_owned(),
        n => format!("{} builds ahead.", n - 1),
    };
    format!("-----> Waiting in the build queue. {builds}")
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

#[cfg(test)]
mod tests {
    use super::waits;

    #[test]
    fn a_waiting_build_says_for_what() {
        assert_eq!(waits(1, None), "-----> Waiting in the build queue. Next in the queue.");
        assert_eq!(waits(2, None), "-----> Waiting in the build queue. 1 build ahead.");
        assert_eq!(waits(3, None), "-----> Waiting in the build queue. 2 builds ahead.");
        assert_eq!(waits(1, Some((4, 7))), "-----> Waiting for build 4 of this app: v7 has to stay up or fail first.");
    }
}
