//! Observes running dynos and records their states: up, crashed, removed.

use api::{
    dynos::DynoState,
    ids::{AppId, RunId},
};
use base::Kind;
use chrono::Utc;
use dyno::{Exit, Phase};
use futures::{StreamExt as _, stream};
use nix::sys::signal::Signal;
use store::dynos::Row;

use super::{OUT_OF_MEMORY, exit_sentence, plan, watch::Watch};
use crate::{Platform, destroy, ingest};

/// The number of dynos that are observed concurrently.
const LOOKS: usize = 64;

/// Observes these dynos, many at a time, and returns the current rows. Rows of dynos that were stopped and have exited
/// are deleted. The driver is queried only for those that have exited or are not watched yet. Also returns what could not
/// be observed, with its app.
pub(super) async fn observe(platform: &Platform, watch: &Watch, rows: Vec<Row>) -> (Vec<Row>, Vec<(AppId, String)>) {
    let seen: Vec<_> = stream::iter(rows)
        .map(|row| async move {
            let before = row.clone();
            match look(platform, watch, row).await {
                Ok(row) => (row, None),
                Err(err) => {
                    let failed = (before.app_id, format!("check {}: {err:#}", before.name));
                    (Some(before), Some(failed))
                }
            }
        })
        .buffered(LOOKS)
        .collect()
        .await;
    let mut failed = Vec::new();
    let rows = seen.into_iter().filter_map(|(row, err)| {
        failed.extend(err);
        row
    });
    let rows = rows.collect();
    (rows, failed)
}

async fn look(platform: &Platform, watch: &Watch, row: Row) -> anyhow::Result<Option<Row>> {
    let is_crashed = row.state == DynoState::Crashed && row.stopping_at.is_none();
    if is_crashed && !platform.ingest().has(row.run_id) {
        return Ok(Some(row));
    }
    let exit = match !is_crashed && watch.runs(row.run_id) {
        true => None,
        false => exit(platform, row.run_id).await?,
    };
    match exit {
        Some(exit) if row.stopping_at.is_some() => gone(platform, row, &exit).await,
        Some(exit) if is_crashed => after_crash(platform, &row, &exit).await.map(|()| Some(row)),
        Some(exit) => crashed(platform, row, &exit).await.map(Some),
        // It did not start up, and no longer has a process.
        None if is_crashed => {
            platform.ingest().forget(row.run_id);
            Ok(Some(row))
        }
        None => {
            watch.begin(platform, row.app_id, row.run_id);
            match row.state {
                DynoState::Starting if row.stopping_at.is_none() => booting(platform, watch, row).await.map(Some),
                DynoState::Up => {
                    let updated_at = watch.up_since(row.run_id, row.updated_at, Utc::now());
                    Ok(Some(Row { updated_at, ..row }))
                }
                _ => Ok(Some(row)),
            }
        }
    }
}

/// How a process has exited; `None` if it runs.
async fn exit(platform: &Platform, run: RunId) -> anyhow::Result<Option<Exit>> {
    Ok(match platform.driver().status(run).await?.map(|status| status.phase) {
        Some(Phase::Exited(exit)) => Some(exit),
        Some(Phase::Starting | Phase::Running) => None,
        None => Some(Exit {
            at: Utc::now(),
            code: None,
            signal: None,
            oom: false,
            crowded: false,
            error: Some(plan::GONE.into()),
        }),
    })
}

/// A stopped dyno has exited: its row and files are deleted once its output has been read.
async fn gone(platform: &Platform, row: Row, exit: &Exit) -> anyhow::Result<Option<Row>> {
    if !ingest::read_out(platform, row.app_id, row.run_id).await? {
        return Ok(Some(row));
    }
    if row.state != DynoState::Crashed {
        platform.supervisor_said(row.app_id, &row.name, &exit_sentence(exit));
    } else if exit.error.as_deref() != Some(plan::GONE) {
        // It was stopped before its last lines were read, and so before its crash was logged.
        say_crash(platform, &row, exit, state_before(platform, &row));
    }
    remove(platform, &row).await?;
    store::dynos::dyno_delete(platform.db(), row.id).await?;
    platform.publish(Kind::DynoState, row.app_id);
    destroy::part_ended(platform, row.app_id).await;
    Ok(None)
}

/// Removes the files of an exited dyno, whose output has been read.
async fn remove(platform: &Platform, row: &Row) -> anyhow::Result<()> {
    platform.driver().remove(row.run_id).await?;
    platform.ingest().forget_dyno(row.run_id, row.release_id, &row.name);
    let _ = platform.history().forget(row.app_id, &row.run_id.to_string());
    Ok(())
}

/// A dyno has exited without having been stopped. It is marked as crashed immediately, so that it gets no more
/// requests; it is restarted once its output has been read.
async fn crashed(platform: &Platform, mut row: Row, exit: &Exit) -> anyhow::Result<Row> {
    let now = Utc::now();
    let was = row.state;
    row.crashes = plan::crashes_after(&row, now);
    row.next_start_at = Some(now + plan::pause(row.crashes));
    // A recorded boot timeout is more informative than the signal that followed it.
    if row.killed_at.is_none() || row.last_exit.is_none() {
        row.last_exit = Some(exit_sentence(exit));
    }
    row.state = DynoState::Crashed;
    row.updated_at = now;
    row.addr = None;
    // Before the row is saved: from then on, a crashed dyno is observed only if its output is followed.
    let is_read = ingest::read_out(platform, row.app_id, row.run_id).await?;
    platform.ingest().note_state(row.run_id, was);
    store::dynos::dyno_save(platform.db(), &row).await?;
    platform.publish(Kind::DynoState, row.app_id);
    if is_read {
        say_crash(platform, &row, exit, was);
        remove(platform, &row).await?;
    }
    Ok(row)
}

/// Removes the process of a crashed dyno once its output has been read, so that the next one can be started.
async fn after_crash(platform: &Platform, row: &Row, exit: &Exit) -> anyhow::Result<()> {
    if !ingest::read_out(platform, row.app_id, row.run_id).await? {
        return Ok(());
    }
    say_crash(platform, row, exit, state_before(platform, row));
    remove(platform, row).await
}

/// The state of a dyno before it crashed, which is not known after a restart of the server.
fn state_before(platform: &Platform, row: &Row) -> DynoState {
    platform.ingest().noted_state(row.run_id).unwrap_or(DynoState::Up)
}

/// Logs a crash, after the last line of the dyno's output.
fn say_crash(platform: &Platform, row: &Row, exit: &Exit, was: DynoState) {
    if exit.oom {
        platform.supervisor_said(row.app_id, &row.name, OUT_OF_MEMORY);
    }
    platform.supervisor_said(row.app_id, &row.name, &exit_sentence(exit));
    platform.supervisor_said(row.app_id, &row.name, &format!("State changed from {was} to crashed"));
}

/// A starting dyno is up when it accepts connections at its port, and then its address is stored; one without a port,
/// when it runs.
async fn booting(platform: &Platform, watch: &Watch, mut row: Row) -> anyhow::Result<Row> {
    let now = Utc::now();
    let address = watch.accepts(row.run_id);
    if row.kind == "web" && address.is_none() {
        watch.probe(platform, row.run_id, None);
        let late = row.started_at.is_some_and(|at| now - at >= plan::BOOT);
        if late && row.killed_at.is_none() {
            if watch.announce(row.run_id, Signal::SIGKILL) {
                let error =
                    "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch";
                platform.supervisor_said(row.app_id, &row.name, error);
                platform.supervisor_said(row.app_id, &row.name, "Stopping process with SIGKILL");
            }
            // Before the row is saved, so that a signal that could not be sent is sent again.
            platform.driver().signal(row.run_id, Signal::SIGKILL as i32).await?;
            row.killed_at = Some(now);
            row.last_exit = Some("Boot timeout: did not bind to $PORT within 60 seconds".into());
            store::dynos::dyno_save(platform.db(), &row).await?;
        }
        return Ok(row);
    }
    row.state = DynoState::Up;
    row.addr = address.map(|address| address.to_string());
    row.updated_at = now;
    row.next_start_at = None;
    store::dynos::dyno_save(platform.db(), &row).await?;
    platform.supervisor_said(row.app_id, &row.name, "State changed from starting to up");
    platform.publish(Kind::DynoState, row.app_id);
    Ok(row)
}
