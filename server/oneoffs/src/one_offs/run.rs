//! Runs one one-off dyno to its end, and records that.

use std::{io, time::Duration};

use anyhow::Context as _;
use api::dynos::DynoState;
use async_trait::async_trait;
use base::{Kind, dyno_sizes};
use chrono::Utc;
use dyno::{Outcome, Output, Phase, Stop, Terminal, WindowSize, run_to_end};
use platform::{Platform, destroy, dyno_metadata, dynos, ingest};
use spool::{Cursor, Entry};
use store::one_offs::{End, Row};
use tokio_util::sync::CancellationToken;

use super::call;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(30);
/// Beyond its time limit, its shim ends it, because the server is down.
const LATER: Duration = Duration::from_secs(60);
/// How long its slug may take to be unpacked.
const UNPACKED: chrono::Duration = chrono::Duration::minutes(15);
/// Entries that are copied into the app's log in one turn.
const TURN: usize = 1000;

/// Whether a one-off dyno can be started.
pub(super) enum Ready {
    Spec(Box<dyno::Spec>),
    /// Its slug is being unpacked.
    Not,
    /// For this reason.
    Never(String),
}

/// Prepares the start of a one-off dyno, or finding it again.
pub(super) async fn prepare(
    platform: &Platform,
    row: &Row,
    app: Option<&store::apps::Served>,
) -> anyhow::Result<Ready> {
    let is_known = platform.driver().status(row.run_id).await?.is_some();
    let never = |why: &str| Ok(Ready::Never(why.to_owned()));
    if !is_known && row.started_at.is_some() {
        return never("The process is gone: its files were removed or the machine was restarted");
    }
    if !is_known && row.stopping_at.is_some() {
        return never("Stopped before it was started");
    }
    let Some(app) = app else { return never("The app is being destroyed") };
    let (release, slug) = dynos::code(platform, row.release_id).await?;
    let root = match platform.slug_files().unpacked(row.app_id, slug.id).await? {
        Some(root) => root,
        // It runs already, so this is not used.
        None if is_known => std::path::PathBuf::new(),
        None => {
            if let Some(fault) = slug.fault {
                return never(&format!("The slug cannot be unpacked: {fault}"));
            }
            if Utc::now() - row.created_at > UNPACKED {
                return never("The slug was not unpacked in time");
            }
            platform.wake_slugs();
            return Ok(Ready::Not);
        }
    };
    let of = dyno_metadata::Process {
        app: row.app_id,
        app_name: &app.name,
        dyno: row.id.get(),
        release: &release,
        slug: &slug,
    };
    let mut vars = of.vars(platform).await?;
    let env = store::one_offs::one_off_env(platform.db(), row.id).await.context("read the environment")?;
    vars.extend(call::open(platform.secrets(), row.id, env.as_deref()).context("decrypt the environment")?);
    let mut spec = dynos::spec(dynos::Wanted {
        run: row.run_id,
        name: &row.name,
        uid: app.uid,
        command: &row.command,
        root,
        vars,
        size: dyno_sizes::size(&row.size).with_context(|| format!("{} is not a size", row.size))?,
        disk: platform.config().dyno_disk,
        web: false,
        time: Some(limit(row) + LATER),
    });
    spec.terminal = row.attached.then(|| terminal(row));
    Ok(Ready::Spec(Box::new(spec)))
}

fn terminal(row: &Row) -> Terminal {
    let number = |n: Option<i32>| n.and_then(|n| u16::try_from(n).ok());
    match (number(row.columns), number(row.lines)) {
        (Some(columns), Some(rows)) => Terminal::Window(WindowSize { columns, rows }),
        _ => Terminal::Pipes,
    }
}

fn limit(row: &Row) -> Duration {
    Duration::from_secs(u64::try_from(row.time_limit).unwrap_or_default())
}

/// Starts a one-off dyno, or finds it again, and returns when it has ended and that is recorded.
pub(super) async fn run(
    platform: &Platform,
    row: &Row,
    spec: dyno::Spec,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let mut log = Log { platform, row, follower: None };
    let stop = Stop { limit: limit(row), grace: GRACE, cancel };
    let outcome = run_to_end(&**platform.driver(), &spec, stop, &mut log).await?;
    log.finish().await.context("copy the output of a one-off dyno")?;
    let exit = match platform.driver().status(row.run_id).await?.map(|status| status.phase) {
        Some(Phase::Exited(exit)) => Some(exit),
        _ => None,
    };
    let sentence = match (outcome, &exit) {
        (Outcome::TimedOut, _) => format!("Time limit exceeded: stopped after {} seconds", row.time_limit),
        (Outcome::Exited(exit), _) => dynos::exit_sentence(&exit),
        (Outcome::Cancelled, Some(exit)) => dynos::exit_sentence(exit),
        (Outcome::Cancelled, None) => "Stopped".to_owned(),
    };
    if exit.as_ref().is_some_and(|exit| exit.oom) {
        platform.supervisor_said(row.app_id, &row.name, dynos::OUT_OF_MEMORY);
    }
    end(platform, row, exit.map(|exit| exit.status()), &sentence).await
}

/// Records the end of a one-off dyno, and removes its files.
pub(super) async fn end(platform: &Platform, row: &Row, status: Option<i32>, sentence: &str) -> anyhow::Result<()> {
    // First: without a row that wants it, a dyno that a killed server has left is removed, and not run again.
    let end = End { status, sentence };
    if store::one_offs::one_off_end(platform.db(), row.id, end, Utc::now()).await? {
        platform.supervisor_said(row.app_id, &row.name, sentence);
        platform.supervisor_said(row.app_id, &row.name, "State changed from up to complete");
    }
    platform.driver().remove(row.run_id).await?;
    let _ = platform.history().forget(row.app_id, &row.run_id.to_string());
    platform.publish(Kind::DynoState, row.app_id);
    destroy::part_ended(platform, row.app_id).await;
    Ok(())
}

/// Copies the output into the app's log. That of an attached command is not in it, but messages of the shim are.
struct Log<'a> {
    platform: &'a Platform,
    row: &'a Row,
    follower: Option<logs::Follower>,
}

impl Log<'_> {
    /// Copies at most so many entries. Returns how many.
    async fn step(&mut self, most: usize) -> io::Result<usize> {
        let Some(mut follower) = self.follower.take() else { return Ok(0) };
        let step = move || {
            let copied = follower.step(most);
            (follower, copied)
        };
        let (follower, copied) = tokio::task::spawn_blocking(step).await.map_err(io::Error::other)?;
        self.follower = Some(follower);
        copied.map_err(io::Error::other)
    }

    async fn finish(mut self) -> io::Result<()> {
        while self.step(TURN).await? > 0 {}
        Ok(())
    }
}

#[async_trait]
impl Output for Log<'_> {
    /// The log has its own position. What it has already is read once more, and not copied again.
    async fn begin(&mut self, handle: &dyno::Handle) -> io::Result<Cursor> {
        let (platform, row) = (self.platform, self.row);
        if row.state == DynoState::Starting {
            let text = format!("Starting process with command `{}`", row.command);
            platform.supervisor_said(row.app_id, &row.name, &text);
            store::one_offs::one_off_up(platform.db(), row.id, Utc::now()).await.map_err(io::Error::other)?;
            platform.supervisor_said(row.app_id, &row.name, "State changed from starting to up");
            platform.publish(Kind::DynoState, row.app_id);
        }
        let (owned, app, run, name) = (platform.clone(), row.app_id, handle.id, row.name.clone());
        let follower = tokio::task::spawn_blocking(move || ingest::follower(&owned, app, run, &name));
        self.follower = Some(follower.await.map_err(io::Error::other)?.map_err(io::Error::other)?);
        Ok(Cursor::default())
    }

    async fn take(&mut self, entries: Vec<Entry>, _: Cursor) -> io::Result<()> {
        self.step(entries.len()).await.map(drop)
    }

    /// The follower reads the same output for the app's log.
    fn is_only_reader(&self) -> bool {
        false
    }
}
