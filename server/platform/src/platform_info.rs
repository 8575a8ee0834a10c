//! The state of jobs and reconcilers, for administrators.

use axum::{Json, extract::State};
use base::Result;
use identity::Actor;

use crate::Platform;

/// The maximum age of the newest verified backup: a daily one, and a failure.
const MOST_AGE: chrono::Duration = chrono::Duration::hours(50);

/// `GET /platform`
pub async fn platform_info(
    State(platform): State<Platform>,
    actor: Actor,
) -> Result<Json<api::platform::PlatformInfo>> {
    actor.must_administer()?;
    Ok(Json(info(&platform).await?))
}

/// The state of jobs and reconcilers. Also a topic of `/live`.
pub async fn info(platform: &Platform) -> Result<api::platform::PlatformInfo> {
    let jobs = store::jobs::job_list_current(platform.db()).await?.into_iter().map(|row| api::platform::JobInfo {
        id: row.id,
        kind: row.kind,
        subject: row.subject,
        state: row.state,
        attempt: row.attempt,
        crashes: row.crashes,
        run_at: row.run_at,
        error: row.error,
        created_at: row.created_at,
    });
    let reconcilers = platform.background().seen().into_iter().map(|seen| api::platform::ReconcilerInfo {
        name: seen.name.into(),
        runs: seen.runs,
        last_run_at: seen.last_run_at,
        duration_ms: u64::try_from(seen.duration.as_millis()).unwrap_or(u64::MAX),
        done: seen.report.done,
        failed: seen.report.failed,
    });
    let disk = disk(platform);
    Ok(api::platform::PlatformInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: platform.started_at(),
        url: platform.config().url(),
        jobs: jobs.collect(),
        jobs_changed_at: store::jobs::job_changed_at(platform.db()).await?,
        reconcilers: reconcilers.collect(),
        checks: checks(platform, disk).await,
        disk,
    })
}

fn disk(platform: &Platform) -> api::platform::DiskInfo {
    match nix::sys::statvfs::statvfs(&platform.config().data) {
        Ok(s) => api::platform::DiskInfo {
            total: s.blocks() * s.fragment_size(),
            free: s.blocks_available() * s.fragment_size(),
        },
        Err(_) => api::platform::DiskInfo::default(),
    }
}

async fn checks(platform: &Platform, disk: api::platform::DiskInfo) -> Vec<api::platform::Check> {
    let check = |name: &str, ok: bool, detail: String| api::platform::Check { name: name.into(), ok, detail };
    let router = platform.router().version().await;
    let gigabytes = |n: u64| format!("{:.1} GB", n as f64 / f64::from(1 << 30));
    let backups = backups(platform).await;
    vec![
        check(
            "Disk",
            disk.free > disk.total / 20 && disk.free > 2 << 30,
            format!(
                "{} of {} free. Below 5 % or 2 GB, builds and databases are at risk: remove old apps or add space.",
                gigabytes(disk.free),
                gigabytes(disk.total)
            ),
        ),
        check("Database", true, "The platform's database is responding.".into()),
        match router {
            Ok(_) => check("Router", true, "The router is responding.".into()),
            Err(err) => {
                check("Router", false, format!("The router is not responding: {err}. It is restarted automatically."))
            }
        },
        match backups {
            Ok((ok, detail)) => check("Backups", ok, detail),
            Err(err) => check("Backups", false, format!("Could not look for backups: {err}.")),
        },
    ]
}

/// Whether there is a recent backup that was verified, in a sentence. A new platform has a day to make the first one.
async fn backups(platform: &Platform) -> Result<(bool, String)> {
    let now = chrono::Utc::now();
    let (newest, installed) = store::backups::backup_newest_verified(platform.db()).await?;
    let age = |at: chrono::DateTime<chrono::Utc>| now - at;
    let advice = "Set a target for backups on the page Platform, or run wharfd backup.";
    Ok(match newest {
        Some(at) => {
            let (is_recent, time) = (age(at) < MOST_AGE, at.format("%Y-%m-%d %H:%M UTC"));
            let reason = if is_recent { "" } else { " The page Platform shows why there is no newer one." };
            (is_recent, format!("The newest verified backup was made on {time}.{reason}"))
        }
        None => {
            let is_new = installed.is_none_or(|at| age(at) < chrono::Duration::days(1));
            (is_new, format!("There is no verified backup yet. {advice}"))
        }
    })
}
