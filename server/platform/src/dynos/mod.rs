//! Dynos: the running processes, and their reconciliation with the formation.
//!
//! [`plan`] decides, without clock or disk; [`Reconcile`] observes and acts.

pub(crate) mod looks;
mod observe;
mod plan;
mod reconcile;
mod rollout;
mod routes;
mod routing;
mod stop;
mod watch;
mod world;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use api::{
    dynos::DynoState,
    ids::{ReleaseId, RunId},
};

pub(crate) use self::stop::stop_all;
pub use self::{
    reconcile::Reconcile,
    routes::{dyno_info, dyno_list, dyno_restart, dyno_restart_all, dyno_stop, formation_restart, formation_stop},
};
use crate::{Platform, app_refs};
use base::dyno_sizes::Size;

/// A process to start.
pub struct Wanted<'a> {
    pub run: RunId,
    /// `web.1`
    pub name: &'a str,
    pub uid: i32,
    pub command: &'a str,
    /// The unpacked slug.
    pub root: PathBuf,
    pub vars: BTreeMap<String, String>,
    pub size: Size,
    pub disk: dyno::disks::Size,
    /// Whether it gets a port.
    pub web: bool,
    /// Its time limit.
    pub time: Option<std::time::Duration>,
}

/// Every dyno has its own loopback interface, so all can use the same port.
pub const PORT: u16 = 5000;

/// The specification for the driver.
pub fn spec(wanted: Wanted<'_>) -> dyno::Spec {
    let quota = wanted.size.memory_mb << 20;
    dyno::Spec {
        id: wanted.run,
        name: wanted.name.into(),
        uid: wanted.uid as u32,
        command: wanted.command.into(),
        env: wanted.vars,
        root: dyno::Mounts { artifact: dyno::Artifact::Slug(wanted.root), binds: Vec::new() },
        limits: dyno::Limits {
            memory_bytes: quota,
            memory_max_bytes: (quota as f64 * wanted.size.hard_factor) as u64,
            cpu_shares: wanted.size.cpu_shares,
            cpu_quota_us: 0,
            pids: wanted.size.pids,
            disk: wanted.disk,
        },
        port: wanted.web.then_some(PORT),
        raw: false,
        time: wanted.time,
        terminal: None,
    }
}

/// Logged when the kernel has killed a process of a dyno because the dyno had reached its memory limit.
pub const OUT_OF_MEMORY: &str = "Error R15 (Memory quota vastly exceeded)";

/// How a process ended, for the log and for the list of dynos.
pub fn exit_sentence(exit: &dyno::Exit) -> String {
    if let Some(error) = &exit.error {
        return error.clone();
    }
    let status = match (exit.code, exit.signal) {
        (Some(code), _) => code,
        // As in a shell: 128 plus the signal.
        (None, Some(signal)) => 128 + signal,
        (None, None) => return "Process exited".into(),
    };
    let why = match (exit.oom, exit.crowded) {
        (true, _) => " (out of memory)",
        (_, true) => " (killed because all apps together ran out of memory)",
        _ => "",
    };
    format!("Process exited with status {status}{why}")
}

/// A release with its slug, for a process that runs it.
///
/// # Errors
/// If the release is gone or has no slug.
pub async fn code(
    platform: &Platform,
    release: ReleaseId,
) -> anyhow::Result<(store::releases::Row, store::slugs::Row)> {
    let release = store::releases::release_info(platform.db(), release).await?.context("read the release")?;
    let slug = release.slug_id.context("the release has no slug")?;
    let slug = store::slugs::slug_info(platform.db(), slug).await?.context("read the slug")?;
    Ok((release, slug))
}

/// The dyno as it appears in responses.
pub fn shown(platform: &Platform, row: &store::dynos::Row, app: &store::apps::Row) -> api::dynos::Dyno {
    api::dynos::Dyno {
        id: row.id,
        name: row.name.clone(),
        kind: row.kind.clone(),
        size: row.size.clone(),
        state: row.state,
        command: row.command.clone(),
        attach_url: None,
        app: app_refs::app_ref(app),
        release: api::dynos::DynoRelease { id: row.release_id, version: row.version },
        created_at: row.created_at,
        updated_at: row.updated_at,
        starts: row.starts,
        last_exit: row.last_exit.clone(),
        next_start_at: row.next_start_at,
        usage: platform.usages().of(row.run_id),
        last_lines: Vec::new(),
        terminal_path: None,
        exit_status: None,
    }
}

/// A one-off dyno as it appears in responses.
pub fn shown_one_off(platform: &Platform, row: &store::one_offs::Row, app: &store::apps::Row) -> api::dynos::Dyno {
    api::dynos::Dyno {
        id: row.id,
        name: row.name.clone(),
        kind: row.kind.clone(),
        size: row.size.clone(),
        state: row.state,
        command: row.command.clone(),
        attach_url: None,
        app: app_refs::app_ref(app),
        release: api::dynos::DynoRelease { id: row.release_id, version: row.version },
        created_at: row.created_at,
        updated_at: row.updated_at,
        starts: 1,
        last_exit: row.last_exit.clone(),
        next_start_at: None,
        usage: platform.usages().of(row.run_id),
        last_lines: Vec::new(),
        terminal_path: None,
        exit_status: row.exit_status,
    }
}

/// The dynos as shown to users: one per name. During a rollout it is the one that serves; its successor is shown when
/// it takes over.
pub fn visible(mut rows: Vec<store::dynos::Row>) -> Vec<store::dynos::Row> {
    rows.retain(|r| r.stopping_at.is_none());
    let all = rows.clone();
    rows.retain(|row| {
        let better =
            |other: &&store::dynos::Row| other.name == row.name && other.id != row.id && rank(other) > rank(row);
        !all.iter().any(|other| better(&other))
    });
    rows
}

/// Up before starting before crashed; newer before older.
fn rank(row: &store::dynos::Row) -> (u8, bool, i32, chrono::DateTime<chrono::Utc>) {
    let state = match row.state {
        DynoState::Up => 2,
        DynoState::Starting => 1,
        _ => 0,
    };
    (state, row.retiring_at.is_none(), row.version, row.created_at)
}
