//! The routing table: the dynos that get the requests of each app. Keeps the router's copy up to date, and waits for
//! the requests of dynos that were removed from it.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use api::dynos::DynoState;
use chrono::Utc;
use router::{AppRoute, AppState, Backend, Routes};
use store::{apps, dynos::Row};
use tokio::task::JoinHandle;

use super::plan::{App, serving};
use crate::{Config, Platform};

/// How long to wait before retrying when the router did not respond.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

/// The state of the router, as far as known. All of it can be lost: the router is authoritative.
#[derive(Default)]
pub(super) struct RouterTable {
    sent: Option<Routes>,
    waiting: Option<Waiting>,
}

/// A request to which the router responds when one of these dynos has no more requests in progress.
struct Waiting {
    dynos: Vec<SocketAddr>,
    task: JoinHandle<()>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RouterTable {
    /// Sends the router its table, if it may have a different one. Returns the dynos that are not in it and still have
    /// requests in progress.
    pub async fn update(&mut self, platform: &Platform, entries: &[Entry<'_>]) -> anyhow::Result<Vec<SocketAddr>> {
        let version = self.sent.as_ref().map_or(0, |sent| sent.version);
        let mut table = table(platform.config(), version, entries);
        // Queried each time: a restarted router has an old copy.
        let in_use = platform.router().in_use().await.context("get the version of the routing table")?;
        if self.sent.as_ref() == Some(&table) && in_use.version == version {
            return Ok(in_use.busy);
        }
        table.version = u64::try_from(Utc::now().timestamp_micros()).unwrap_or_default();
        let in_use = platform.router().put(&table).await.context("send the router its table")?;
        self.sent = Some(table);
        Ok(in_use.busy)
    }

    /// Wakes the supervisor when one of these dynos has no more requests in progress. Replaces the previous set.
    pub fn wait_for(&mut self, platform: &Platform, mut dynos: Vec<SocketAddr>) {
        dynos.sort_unstable();
        if self.waiting.as_ref().is_some_and(|waiting| waiting.dynos == dynos && !waiting.task.is_finished()) {
            return;
        }
        self.waiting = (!dynos.is_empty()).then(|| {
            let (platform, asked) = (platform.clone(), dynos.clone());
            let task = tokio::spawn(async move {
                if let Err(err) = platform.router().drained(&asked).await {
                    tracing::debug!("could not wait for the end of requests: {err}");
                    tokio::time::sleep(AGAIN).await;
                }
                platform.wake_dynos();
            });
            Waiting { dynos, task }
        });
    }
}

/// The row of an app, its desired dynos, and its actual ones.
pub(super) struct Entry<'a> {
    pub app: &'a apps::Served,
    pub wanted: Option<&'a App>,
    pub rows: &'a [Row],
}

/// The whole table.
fn table(config: &Config, version: u64, entries: &[Entry<'_>]) -> Routes {
    Routes {
        version,
        platform_hosts: config.platform_hosts(),
        apps_domain: config.apps_domain.clone(),
        apps: entries.iter().map(route).collect(),
    }
}

fn route(entry: &Entry<'_>) -> AppRoute {
    let dynos = entry.wanted.map(|app| serving(app, entry.rows)).unwrap_or_default();
    let backend = |row: &&Row| {
        let addr = row.addr.as_ref()?.parse().ok()?;
        Some(Backend { dyno: row.name.clone(), addr })
    };
    let dynos: Vec<Backend> = dynos.iter().filter_map(backend).collect();
    AppRoute {
        app_id: entry.app.id,
        name: entry.app.name.clone(),
        hosts: Vec::new(),
        state: state(entry, !dynos.is_empty()),
        dynos,
    }
}

fn state(entry: &Entry<'_>, up: bool) -> AppState {
    if entry.app.maintenance {
        return AppState::Maintenance;
    }
    // "Blank" is an app that was never deployed; one that was rolled back to its first release is "off".
    let Some(wanted) = entry.wanted else {
        return if entry.app.slug_size.is_none() { AppState::Blank } else { AppState::NoWeb };
    };
    let quantity = wanted.types.iter().find(|t| t.kind == "web").map_or(0, |t| t.quantity);
    let web = || entry.rows.iter().filter(|r| r.kind == "web" && r.stopping_at.is_none());
    match quantity {
        0 => AppState::NoWeb,
        _ if up => AppState::Up,
        _ if web().next().is_some() && web().all(|r| r.state == DynoState::Crashed) => AppState::Crashed,
        _ => AppState::Booting,
    }
}
