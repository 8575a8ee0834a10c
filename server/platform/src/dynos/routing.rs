//! The routing table: the dynos that get the requests of each app. Keeps the router's copy up to date, and waits for
//! the requests of dynos that were removed from it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use api::{dynos::DynoState, ids::DynoId};
use chrono::{DateTime, TimeDelta, Utc};
use router::{AppRoute, AppState, Backend, Routes};
use store::{apps, dynos::Row};
use tokio::task::JoinHandle;

use super::plan::{App, serving, standby};
use crate::{Config, Platform};

/// How long to wait before retrying when the router did not respond.
pub(super) const AGAIN: Duration = Duration::from_millis(500);
/// How long to wait before sending a table again that the router could not write to its disk.
const SAVE_AGAIN: Duration = Duration::from_secs(60);

/// The state of the router, as far as known. All of it can be lost: the router is authoritative.
#[derive(Default)]
pub(super) struct RouterTable {
    sent: Option<Routes>,
    sent_at: Option<Instant>,
    /// How long the router took to accept a table without each dyno that is being stopped.
    removed_after: HashMap<DynoId, TimeDelta>,
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
    /// Sends the router its table, if it may have another one, or now and then if it has none on disk. Returns the dynos
    /// that are not in it and still have requests in progress.
    pub async fn update(&mut self, platform: &Platform, entries: &[Entry<'_>]) -> anyhow::Result<Vec<SocketAddr>> {
        let version = self.sent.as_ref().map_or(0, |sent| sent.version);
        let mut table = table(platform.config(), version, entries);
        // Queried each time: a restarted router has an old copy.
        let in_use = platform.router().in_use().await.context("get the version of the routing table")?;
        let waits = !in_use.unsaved || self.sent_at.is_some_and(|at| at.elapsed() < SAVE_AGAIN);
        if self.sent.as_ref() == Some(&table) && in_use.version == version && waits {
            return Ok(in_use.busy);
        }
        table.version = u64::try_from(Utc::now().timestamp_micros()).unwrap_or_default();
        let in_use = platform.router().put(&table).await.context("send the router its table")?;
        self.sent = Some(table);
        self.sent_at = Some(Instant::now());
        Ok(in_use.busy)
    }

    /// Notes which dynos are being stopped, of all `rows`, after an [update](Self::update): if it succeeded, the router
    /// has a table without them.
    pub fn note<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, has_table: bool, now: DateTime<Utc>) {
        let stopping = rows.filter_map(|row| Some((row.id, now - row.stopping_at?)));
        let stopping: HashMap<DynoId, TimeDelta> = stopping.collect();
        self.removed_after.retain(|dyno, _| stopping.contains_key(dyno));
        if has_table {
            for (dyno, after) in stopping {
                self.removed_after.entry(dyno).or_insert(after);
            }
        }
    }

    /// How long the router took to accept a table without a dyno that is being stopped; `None` if it has not yet.
    pub fn removed_after(&self, dyno: DynoId) -> Option<TimeDelta> {
        self.removed_after.get(&dyno).copied()
    }

    /// Wakes the supervisor when one of these dynos has no more requests in progress. Replaces what was waited for.
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
    let standby = entry.wanted.map(|app| standby(app, entry.rows)).unwrap_or_default();
    AppRoute {
        app_id: entry.app.id,
        name: entry.app.name.clone(),
        hosts: Vec::new(),
        state: state(entry, !dynos.is_empty()),
        dynos,
        standby: standby.iter().filter_map(backend).collect(),
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

#[cfg(test)]
mod tests {
    use api::ids::{AppId, ReleaseId, RunId};

    use super::*;

    fn row(stopping_at: DateTime<Utc>) -> Row {
        Row {
            id: DynoId::from_u128(1),
            app_id: AppId::from_u128(1),
            name: "web.1".into(),
            kind: "web".into(),
            ordinal: 1,
            size: "Basic".into(),
            command: "run".into(),
            release_id: ReleaseId::from_u128(1),
            version: 1,
            state: DynoState::Up,
            run_id: RunId::from_u128(1),
            addr: None,
            started_at: None,
            retiring_at: None,
            stopping_at: Some(stopping_at),
            killed_at: None,
            starts: 1,
            crashes: 0,
            next_start_at: None,
            last_exit: None,
            created_at: stopping_at,
            updated_at: stopping_at,
        }
    }

    #[test]
    fn a_dyno_is_removed_when_the_first_table_without_it_is_accepted() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let after = |seconds| at + TimeDelta::seconds(seconds);
        let (mut router, row) = (RouterTable::default(), row(at));
        let cases = [(false, 100, None), (true, 200, Some(200)), (true, 300, Some(200)), (false, 400, Some(200))];
        for (has_table, seconds, expected) in cases {
            router.note([&row].into_iter(), has_table, after(seconds));
            assert_eq!(router.removed_after(row.id), expected.map(TimeDelta::seconds), "{seconds}");
        }
        router.note([].into_iter(), true, after(500));
        assert_eq!(router.removed_after(row.id), None);
    }
}
