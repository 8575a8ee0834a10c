//! Stops dynos: those that are no longer desired, and all of them at shutdown.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use api::ids::DynoId;
use background::Report;
use base::Kind;
use chrono::Utc;
use dyno::Phase;
use nix::sys::signal::Signal;
use store::dynos::Row;

use super::{
    plan::{self, Step, StopReason},
    watch::Watch,
    world::World,
};
use crate::{Platform, ingest};

/// The time limit for a killed dyno to exit.
const KILLED: Duration = Duration::from_secs(5);

/// Begins to stop the dynos that are no longer desired, in the database and in `world`: the next routing table excludes
/// them. They get SIGTERM later.
pub(super) async fn begin(platform: &Platform, world: &mut World, report: &mut Report) -> anyhow::Result<()> {
    let steps = world.plan().into_iter();
    let stops: HashMap<DynoId, StopReason> = steps
        .filter_map(|(_, step)| match step {
            Step::Stop { dyno, reason } => Some((dyno, reason)),
            _ => None,
        })
        .collect();
    if stops.is_empty() {
        return Ok(());
    }
    let (now, ids) = (Utc::now(), stops.keys().copied().collect::<Vec<_>>());
    store::dynos::dyno_withdraw(platform.db(), &ids, now).await.context("begin to stop dynos")?;
    for row in world.rows_mut() {
        if let Some(reason) = stops.get(&row.id) {
            row.stopping_at = Some(now);
            tracing::debug!(app.id = %row.app_id, dyno.run = %row.run_id, "stopping {} ({reason})", row.name);
            report.done.push(format!("stopping {} ({reason})", row.name));
            platform.publish(Kind::DynoState, row.app_id);
        }
    }
    Ok(())
}

/// Sends SIGTERM to a dyno that gets no more requests.
pub(super) async fn terminate(platform: &Platform, watch: &Watch, row: &Row) -> anyhow::Result<String> {
    if watch.announce(row.run_id, Signal::SIGTERM) {
        platform.supervisor_said(row.app_id, &row.name, &format!("State changed from {} to down", row.state));
        platform.supervisor_said(row.app_id, &row.name, "Stopping all processes with SIGTERM");
    }
    tracing::debug!(app.id = %row.app_id, dyno.run = %row.run_id, "terminating {}", row.name);
    platform.driver().signal(row.run_id, Signal::SIGTERM as i32).await?;
    // Last, so that a signal that could not be sent is sent again. Sending it twice is harmless.
    store::dynos::dyno_down(platform.db(), row.id, Utc::now()).await?;
    Ok(format!("sent SIGTERM to {}", row.name))
}

/// Kills a dyno that did not exit in time.
pub(super) async fn kill(platform: &Platform, watch: &Watch, mut row: Row) -> anyhow::Result<String> {
    if watch.announce(row.run_id, Signal::SIGKILL) {
        let error = "Error R12 (Exit timeout) -> Process failed to exit within 30 seconds of SIGTERM";
        platform.supervisor_said(row.app_id, &row.name, error);
        platform.supervisor_said(row.app_id, &row.name, "Stopping remaining processes with SIGKILL");
    }
    platform.driver().signal(row.run_id, Signal::SIGKILL as i32).await?;
    // Last, as for SIGTERM.
    row.killed_at = Some(Utc::now());
    store::dynos::dyno_save(platform.db(), &row).await?;
    Ok(format!("killed {}", row.name))
}

/// Stops every dyno, one-off dyno, build and release phase: SIGTERM, 30 seconds, SIGKILL. The formation stays as it is, and builds
/// begin anew. What a release phase leaves stays, so that the next start sees how it ended, and runs it no second time.
pub(crate) async fn stop_all(platform: &Platform) -> anyhow::Result<()> {
    end_all(platform).await?;
    for row in store::dynos::dyno_all(platform.db()).await? {
        ingest::finish(platform, row.app_id, row.run_id).await?;
        platform.driver().remove(row.run_id).await?;
        store::dynos::dyno_delete(platform.db(), row.id).await?;
    }
    for row in store::one_offs::one_off_running(platform.db()).await? {
        ingest::finish(platform, row.app_id, row.run_id).await?;
        let end = store::one_offs::End { status: None, sentence: "Stopped with the platform" };
        store::one_offs::one_off_end(platform.db(), row.id, end, Utc::now()).await?;
        platform.driver().remove(row.run_id).await?;
    }
    let up = store::rollouts::rollout_up_all(platform.db()).await?;
    store::rollouts::rollout_note_up(&mut *platform.db().acquire().await?, &[], &up, Utc::now()).await?;
    for files in platform.background().files() {
        for dyno in files.left().await? {
            files.abandon(dyno).await?;
        }
    }
    Ok(())
}

/// Ends all dynos of the driver, including those that appear late because they were being started.
async fn end_all(platform: &Platform) -> anyhow::Result<()> {
    let begun = Instant::now();
    let grace = plan::GRACE.to_std().unwrap_or(Duration::from_secs(30));
    let mut told = HashSet::new();
    loop {
        let mut dynos = platform.driver().list().await?;
        dynos.retain(|dyno| !matches!(dyno.phase, Phase::Exited(_)));
        let is_late = begun.elapsed() >= grace;
        if dynos.is_empty() || begun.elapsed() >= grace + KILLED {
            return Ok(());
        }
        for dyno in dynos {
            // A dyno that is being started does not react to signals yet.
            if !is_late && (dyno.phase == Phase::Starting || !told.insert(dyno.handle.id)) {
                continue;
            }
            let signal = if is_late { Signal::SIGKILL } else { Signal::SIGTERM };
            if let Err(err) = platform.driver().signal(dyno.handle.id, signal as i32).await {
                tracing::warn!(dyno.name = %dyno.handle.name, "could not stop: {err}");
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
