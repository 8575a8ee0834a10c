//! The routing table: the dynos that get the requests of each app.

use api::dynos::DynoState;
use router::{AppRoute, AppState, Backend, Routes};
use store::{apps, dynos::Row};

use super::plan::{App, serving};
use crate::Config;

/// The row of an app, its desired dynos, and its actual ones.
pub(super) struct Entry<'a> {
    pub app: &'a apps::Served,
    pub wanted: Option<&'a App>,
    pub rows: &'a [Row],
}

/// The whole table.
pub(super) fn table(config: &Config, version: u64, entries: &[Entry<'_>]) -> Routes {
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
    // "Blank" is an app that was never deployed; one that was rolled back to its first release is off.
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
