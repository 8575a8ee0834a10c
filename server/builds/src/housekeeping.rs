//! Housekeeping: sweeps and packs all repositories. The module `git` cleans a single one.

use anyhow::anyhow;
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Builds, git};

/// Cleans all repositories, one after the other.
#[derive(Serialize, Deserialize)]
pub struct Clean {}

#[async_trait]
impl Job for Clean {
    const KIND: &'static str = "repositories.clean";
    /// The schedule retries within the hour.
    const ATTEMPTS: i32 = 1;
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = Builds;

    fn subject(&self) -> Uuid {
        background::PLATFORM
    }

    async fn run(&self, builds: &Builds, steps: &mut Steps) -> Result<(), Failure> {
        let progress = steps.progress();
        // A single step: there may be thousands of repositories, and cleaning one again is cheap.
        let clean = async {
            builds.git().forget_missing();
            let (apps, mut failed) = (builds.git().all(), Vec::new());
            for (n, app) in apps.iter().enumerate() {
                let fraction = n as f64 / apps.len() as f64;
                progress.report(Some(fraction), &format!("repository {} of {}", n + 1, apps.len()));
                if let Err(err) = git::clean(builds, *app).await {
                    failed.push(format!("repository of {app}: {err:#}"));
                }
            }
            match failed.is_empty() {
                true => Ok(()),
                false => Err(Failure::Retry(anyhow!(failed.join("; ")))),
            }
        };
        steps.once("clean", clean).await
    }

    /// The error of the job contains the reason.
    async fn give_up(&self, _: &Builds, _: &anyhow::Error) -> anyhow::Result<()> {
        Ok(())
    }

    async fn cancelled(&self, _: &Builds) -> anyhow::Result<()> {
        Ok(())
    }
}
