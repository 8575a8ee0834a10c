//! The queue of builds: as many run at once as the machine is to bear, and payers take turns.
//!
//! A build that waits is a row, and holds neither a worker nor anything else. Its job is put into the queue of
//! jobs when it gets its place: in the transaction that makes it, when a place is free, or else by [`Queue`].

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use background::{Reconciler, Report};
use chrono::Utc;
use uuid::Uuid;

use super::Run;
use crate::Platform;

/// Gives free places to the builds whose turn it is. The caller commits.
pub(super) async fn start(platform: &Platform, tx: &mut sqlx::PgConnection) -> sqlx::Result<Vec<Uuid>> {
    let most = i64::try_from(platform.config().build_concurrency).unwrap_or(1);
    let mut apps = Vec::new();
    while let Some((build, app)) = store::builds::build_start_next(&mut *tx, most, Utc::now()).await? {
        background::enqueue(&mut *tx, &Run { build }).await?;
        apps.push(app);
    }
    Ok(apps)
}

/// Starts the builds whose turn it is, ends those that were cancelled while they waited, and tells the others how
/// many go first.
pub(crate) struct Queue {
    platform: Platform,
    /// What was told last.
    told: HashMap<Uuid, i64>,
}

impl Queue {
    /// A queue that has told nobody anything.
    pub fn new(platform: Platform) -> Self {
        Self { platform, told: HashMap::new() }
    }

    async fn tell(&mut self) -> anyhow::Result<()> {
        let waiting = store::builds::build_waiting(self.platform.db()).await.context("read the queue of builds")?;
        self.told.retain(|build, _| waiting.iter().any(|(id, ..)| id == build));
        for (build, app, position) in waiting {
            if self.told.insert(build, position) == Some(position) {
                continue;
            }
            let builds = match position {
                1 => "It is next.".to_owned(),
                2 => "1 build goes first.".to_owned(),
                n => format!("{} builds go first.", n - 1),
            };
            let line = format!("-----> Waiting in the queue for a place to build. {builds}");
            super::job::print(&self.platform, app, build, &line).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for Queue {
    const NAME: &'static str = "builds";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut tx = self.platform.db().begin().await?;
        let apps = start(&self.platform, &mut tx).await.context("start the next builds")?;
        // A job ends them, as it would end one that runs.
        for build in store::builds::build_cancelled_waiting(&mut *tx).await? {
            background::enqueue(&mut tx, &Run { build }).await?;
        }
        tx.commit().await?;
        apps.iter().for_each(|app| self.platform.changed(*app));
        self.tell().await?;
        Ok(Report { again_in: Some(Duration::from_secs(1)), ..Report::default() })
    }
}
