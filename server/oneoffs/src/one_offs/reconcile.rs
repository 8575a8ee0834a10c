//! The reconciler of one-off dynos: a task for each one that has not ended.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::Context as _;
use api::ids::{AppId, DynoId};
use async_trait::async_trait;
use background::{Reconciler, Report};
use chrono::Utc;
use platform::Platform;
use store::one_offs::Row;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::run::{self, Ready};

/// How often to check for a slug that is being unpacked, if nothing wakes the reconciler.
const UNPACKING: Duration = Duration::from_millis(500);

/// Starts one-off dynos, and follows them to their ends. Dropped, it leaves the dynos running; another one finds them
/// again.
pub(crate) struct Reconcile {
    platform: Platform,
    tasks: JoinSet<()>,
    running: HashMap<DynoId, (AbortHandle, CancellationToken)>,
}

impl Reconcile {
    /// One that does not know of any yet.
    pub fn new(platform: Platform) -> Self {
        Self { platform, tasks: JoinSet::new(), running: HashMap::new() }
    }

    /// Starts the task of a one-off dyno, or ends the dyno if it cannot run. Whether it has to wait.
    async fn start(&mut self, row: &Row, app: Option<&store::apps::Served>) -> anyhow::Result<bool> {
        let spec = match run::prepare(&self.platform, row, app).await? {
            Ready::Spec(spec) => spec,
            Ready::Not => return Ok(true),
            Ready::Never(why) => {
                run::end(&self.platform, row, None, &why).await?;
                return Ok(false);
            }
        };
        let cancel = CancellationToken::new();
        let (platform, row, token) = (self.platform.clone(), row.clone(), cancel.clone());
        let id = row.id;
        let handle = self.tasks.spawn(async move {
            if let Err(err) = run::run(&platform, &row, *spec, &token).await {
                // The next run of the reconciler continues.
                tracing::warn!(dyno.name = %row.name, app.id = %row.app_id, "could not run a one-off dyno: {err:#}");
            }
        });
        self.running.insert(id, (handle, cancel));
        Ok(false)
    }
}

#[async_trait]
impl Reconciler for Reconcile {
    const NAME: &'static str = "one-offs";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut report = Report::default();
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|_, (task, _)| !task.is_finished());
        let db = self.platform.db().clone();
        store::one_offs::one_off_stop_suspended(&db, Utc::now()).await.context("stop what suspended accounts run")?;
        let rows = store::one_offs::one_off_running(&db).await.context("read the one-off dynos")?;
        let ids: HashSet<DynoId> = rows.iter().map(|row| row.id).collect();
        // Their apps were removed, and with them the rows.
        self.running.iter().filter(|(id, _)| !ids.contains(*id)).for_each(|(_, (_, cancel))| cancel.cancel());
        let new = rows.iter().any(|row| !self.running.contains_key(&row.id));
        let apps: HashMap<AppId, store::apps::Served> = match new {
            true => {
                let of: Vec<AppId> = rows.iter().map(|row| row.app_id).collect();
                let apps = store::apps::app_all(&db, Some(&of)).await.context("read the apps")?;
                apps.into_iter().map(|app| (app.id, app)).collect()
            }
            false => HashMap::new(),
        };
        let mut waits = false;
        for row in &rows {
            if let Some((_, cancel)) = self.running.get(&row.id) {
                if row.stopping_at.is_some() {
                    cancel.cancel();
                }
                continue;
            }
            match self.start(row, apps.get(&row.app_id)).await {
                Ok(true) => waits = true,
                Ok(false) => report.done.push(format!("started or ended {}", row.name)),
                Err(err) => report.failed.push(format!("start {}: {err:#}", row.name)),
            }
            if let Some((_, cancel)) = self.running.get(&row.id)
                && row.stopping_at.is_some()
            {
                cancel.cancel();
            }
        }
        report.again_in = waits.then_some(UNPACKING);
        Ok(report)
    }
}
