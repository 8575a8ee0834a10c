//! Housekeeping: sweeps and packs repositories regularly.

use async_trait::async_trait;
use background::{Reconciler, Report};

use crate::Platform;

/// Keeps all repositories clean, at the start and every hour.
pub(crate) struct Housekeeping(pub Platform);

#[async_trait]
impl Reconciler for Housekeeping {
    const NAME: &'static str = "git housekeeping";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut report = Report::default();
        let git = self.0.git();
        for app in git.all() {
            let swept = async {
                git.sweep_if_idle(app).await?;
                git.pack(app).await
            };
            if let Err(err) = swept.await {
                report.failed.push(format!("repository of {app}: {err:#}"));
            }
        }
        Ok(report)
    }
}
