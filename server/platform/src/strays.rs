//! Strays: running dynos, and files of dynos, without a row.
//!
//! A row is committed before a dyno is started, so a dyno that is found before its row is looked up, and has none, is a
//! leftover of a killed server, or of a start that completed after it was cancelled. It is only removed if it is found
//! twice.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use anyhow::Context as _;
use api::ids::RunId;
use async_trait::async_trait;
use background::{Reconciler, Report};
use futures::{FutureExt as _, StreamExt as _, stream};

use crate::Platform;

/// The interval between finding a stray and ending it.
const AGAIN: Duration = Duration::from_secs(5);

/// The number of strays whose files are removed concurrently.
const AT_ONCE: usize = 4;

/// Ends dynos that are not desired.
pub(crate) struct Strays {
    platform: Platform,
    /// The strays found in the previous run.
    found: HashSet<RunId>,
}

impl Strays {
    /// Creates one without any findings.
    pub fn new(platform: Platform) -> Self {
        Self { platform, found: HashSet::new() }
    }

    async fn look(&self) -> anyhow::Result<HashSet<RunId>> {
        let mut there = BTreeSet::new();
        for files in self.platform.background().files() {
            there.extend(files.left().await?);
        }
        let dynos = self.platform.driver().list().await.context("list the dynos")?;
        there.extend(dynos.into_iter().map(|dyno| dyno.handle.id));
        let there: Vec<RunId> = there.into_iter().collect();
        let wanted = store::dynos::dyno_wanted(self.platform.db(), &there).await.context("read the desired dynos")?;
        Ok(there.into_iter().filter(|id| !wanted.contains(id)).collect())
    }
}

/// Removes the files of a dyno, whatever its type.
async fn clear(platform: &Platform, run: RunId) -> anyhow::Result<()> {
    for files in platform.background().files() {
        files.abandon(run).await?;
    }
    Ok(())
}

#[async_trait]
impl Reconciler for Strays {
    const NAME: &'static str = "strays";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut report = Report::default();
        let mut found = self.look().await?;
        let strays: Vec<RunId> = found.intersection(&self.found).copied().collect();
        // All of them are ended before files are removed, since one may have a million.
        for id in &strays {
            if let Err(err) = self.platform.driver().remove(*id).await {
                report.failed.push(format!("could not stop the stray dyno {id}: {err}"));
            }
        }
        let platform = &self.platform;
        let abandon = |id: RunId| async move { (id, clear(platform, id).await) };
        let work: Vec<_> = strays.into_iter().map(|id| abandon(id).boxed()).collect();
        let outcomes: Vec<_> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        for (id, outcome) in outcomes {
            match outcome {
                Ok(()) => report.done.push(format!("stopped the stray dyno {id}")),
                Err(err) => report.failed.push(format!("could not stop the stray dyno {id}: {err:#}")),
            }
        }
        if report.failed.is_empty() {
            found.retain(|id| !self.found.contains(id));
        }
        report.done.iter().for_each(|done| tracing::info!("{done}"));
        report.again_in = (!found.is_empty()).then_some(AGAIN);
        self.found = found;
        Ok(report)
    }
}
