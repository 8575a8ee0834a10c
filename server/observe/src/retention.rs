//! Retention: removes logs that can no longer be requested.

use std::time::Duration;

use async_trait::async_trait;
use background::{Reconciler, Report};
use chrono::Utc;
use platform::Platform;

use crate::log_drains;

/// Removes expired log sessions, and encrypts log drains that an older server has stored unencrypted.
pub(crate) struct Retention(pub Platform);

#[async_trait]
impl Reconciler for Retention {
    const NAME: &'static str = "log retention";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut report = Report { again_in: Some(Duration::from_secs(3600)), ..Report::default() };
        match log_drains::seal_old(&self.0).await {
            Ok(0) => {}
            Ok(sealed) => report.done.push(format!("encrypted {sealed} log drains")),
            Err(err) => report.failed.push(format!("{err:#}")),
        }
        store::log_sessions::log_session_sweep(self.0.db(), Utc::now() - chrono::Duration::days(2)).await?;
        Ok(report)
    }
}
