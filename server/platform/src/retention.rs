//! Retention: deletes what cannot be requested any more.

use std::time::Duration;

use async_trait::async_trait;
use background::{Reconciler, Report};
use chrono::Utc;

use crate::{Platform, addresses, app_users, slugs, sources};

/// Deletes expired uploads, links and sessions, and old jobs.
pub(crate) struct Retention(pub Platform);

#[async_trait]
impl Reconciler for Retention {
    const NAME: &'static str = "retention";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let (db, now) = (self.0.db(), Utc::now());
        let day = chrono::Duration::days(1);
        let mut report = Report { again_in: Some(Duration::from_secs(3600)), ..Report::default() };
        match addresses::seal_old(&self.0).await {
            Ok(0) => {}
            Ok(sealed) => report.done.push(format!("encrypted the URLs of {sealed} apps and builds")),
            Err(err) => report.failed.push(format!("{err:#}")),
        }
        report.done.extend(sources::sweep(&self.0).await?);
        report.done.extend(slugs::archives::sweep(&self.0).await?);
        report.failed.extend(identity::forget_old(self.0.base(), now).await?);
        store::jobs::job_sweep(db, now - day * 7).await?;
        let history = self.0.history().clone();
        tokio::task::spawn_blocking(move || history.expire(now)).await??;
        let data = self.0.config().data.clone();
        report.done.extend(tokio::task::spawn_blocking(move || app_users::sweep(&data)).await??);
        Ok(report)
    }
}
