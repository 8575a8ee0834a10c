//! The job that backs the platform up, as the policy says.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Recovery, backups, making, plan::Progress};

/// Makes a backup and verifies it.
#[derive(Serialize, Deserialize)]
pub struct BackUp {}

#[async_trait]
impl Job for BackUp {
    const KIND: &'static str = "backups.run";
    const ATTEMPTS: i32 = 3;
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = Recovery;

    fn subject(&self) -> Uuid {
        background::PLATFORM
    }

    /// A single step: what an interrupted one has copied is not copied again.
    async fn run(&self, recovery: &Recovery, steps: &mut Steps) -> Result<(), Failure> {
        let progress = steps.progress();
        let report: Progress = Arc::new(move |fraction, note| progress.report(Some(fraction), note));
        let Some(plan) = backups::planned(recovery, &recovery.config().run, report).await? else {
            return Err(Failure::Final(anyhow!("No target is set for backups. Set one on the page Platform.")));
        };
        steps.once("back up", async { Ok(making::back_up(&plan).await.map(|row| row.name)?) }).await?;
        Ok(())
    }

    async fn give_up(&self, recovery: &Recovery, why: &anyhow::Error) -> anyhow::Result<()> {
        let interrupted = store::backups::backup_interrupt_all(recovery.db(), &format!("{why:#}"), Utc::now()).await;
        interrupted.context("record the failure of a backup")
    }
}
