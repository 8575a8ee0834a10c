//! A session: bytes both ways between a client and a process, until one of them is gone.

use std::{
    future, io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use api::ids::{AppId, DynoId, RunId};
use async_trait::async_trait;
use base::Error;
use dyno::{AttachedInput, AttachedOutput, Attachment, Exit, FromProcess, WindowSize};
use futures::{Stream, StreamExt as _};
use identity::Can;
use platform::{Platform, dynos};
use spool::Pause;
use tokio::time::timeout;

use super::openings::{Opening, Target};
use crate::OneOffs;

/// How long a session may be silent in both directions.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a one-off dyno may take to start: its slug may have to be unpacked.
const STARTED: Duration = Duration::from_secs(15 * 60);
/// Proxies close connections that are silent for a minute.
const PING: Duration = Duration::from_secs(20);
/// How long the last message may take.
const LAST: Duration = Duration::from_secs(5);

/// What a client sends.
#[derive(Debug, PartialEq)]
pub(super) enum FromClient {
    Input(Vec<u8>),
    EndOfInput,
    Resize(WindowSize),
}

/// What a client sends, until it is gone.
pub(super) type Input = Pin<Box<dyn Stream<Item = FromClient> + Send>>;

/// How a session ended.
pub(super) enum End {
    Exited(Exit),
    /// For this reason; the process, if there is one, gets SIGHUP.
    Failed(String),
}

impl End {
    fn failed(why: &str) -> Self {
        Self::Failed(why.to_owned())
    }

    fn of(error: Error) -> Self {
        match error {
            Error::Public(error) => Self::Failed(error.message),
            Error::Internal(err) => {
                tracing::error!("could not serve a terminal: {err:#}");
                Self::failed("Internal error. Try again.")
            }
        }
    }

    /// The exit status, as in a shell, and a sentence.
    pub fn of_exit(exit: &Exit) -> (i32, String) {
        (exit.status(), dynos::exit_sentence(exit))
    }
}

/// The way to a client.
#[async_trait]
pub(super) trait Screen: Send {
    /// The process runs.
    async fn attached(&mut self) -> io::Result<()>;

    /// Shows output.
    async fn show(&mut self, output: FromProcess) -> io::Result<()>;

    /// Keeps the connection open.
    async fn ping(&mut self) -> io::Result<()>;

    /// Says how the session ended, and closes the connection.
    async fn end(&mut self, end: &End) -> io::Result<()>;
}

/// Serves a client to the end.
pub(super) async fn serve(one_offs: &OneOffs, opening: Opening, input: Input, screen: &mut dyn Screen) {
    let end = talk(one_offs, opening, input, screen).await.unwrap_or_else(End::of);
    // Nothing can be done for a client that does not read it.
    let _ = timeout(LAST, screen.end(&end)).await;
}

async fn talk(one_offs: &OneOffs, opening: Opening, input: Input, screen: &mut dyn Screen) -> Result<End, Error> {
    let _slot = one_offs.terminals().sessions().try_take(opening.actor.payer)?;
    let lost = opening.actor.watch(opening.app, Can::Run).await?.lost();
    tokio::pin!(lost);
    let no_access = || Ok(End::failed("You no longer have access to this app."));
    let attachment = tokio::select! {
        attachment = connect(one_offs, opening.app, opening.target) => attachment?,
        () = &mut lost => return no_access(),
    };
    let Some(attachment) = attachment else { return Ok(End::failed("The dyno did not start. See the app's log.")) };
    if screen.attached().await.is_err() {
        return Ok(End::failed("The connection is closed."));
    }
    tokio::select! {
        end = pump(attachment, input, screen) => Ok(end),
        () = &mut lost => no_access(),
    }
}

/// Attaches to the process; `None` if it has ended or does not start.
async fn connect(platform: &Platform, app: AppId, target: Target) -> Result<Option<Attachment>, Error> {
    match target {
        Target::Exec { run, exec } => match platform.driver().exec(run, &exec).await {
            Ok(attachment) => Ok(Some(attachment)),
            Err(dyno::Error::Unknown(_)) => Ok(None),
            Err(err) => Err(Error::Internal(err.into())),
        },
        Target::OneOff { dyno, run } => wait(platform, app, dyno, run).await,
    }
}

/// Waits until a one-off dyno runs.
async fn wait(platform: &Platform, app: AppId, dyno: DynoId, run: RunId) -> Result<Option<Attachment>, Error> {
    let mut pause = Pause::between(Duration::from_millis(5), Duration::from_millis(200));
    let deadline = Instant::now() + STARTED;
    while Instant::now() < deadline {
        let attachment = platform.driver().attach(run).await.map_err(|err| Error::Internal(anyhow!(err)))?;
        if attachment.is_some() {
            return Ok(attachment);
        }
        let row = store::one_offs::one_off_info(platform.db(), app, &dyno.to_string()).await?;
        if row.is_none_or(|row| row.ended_at.is_some()) {
            return Ok(None);
        }
        tokio::time::sleep(pause.take()).await;
    }
    Ok(None)
}

/// Moves bytes until the process has ended, the client is gone, or both are silent for too long.
async fn pump(attachment: Attachment, input: Input, screen: &mut dyn Screen) -> End {
    let Attachment { output, input: process } = attachment;
    let active = Mutex::new(Instant::now());
    tokio::select! {
        // What has been written before the client left, or fell silent, is shown first.
        biased;
        exit = show(output, screen, &active) => match exit {
            Some(exit) => End::Exited(exit),
            None => End::failed("The connection to the process was lost."),
        },
        () = write(input, process, &active) => End::failed("The connection is closed."),
        () = idle(&active) => End::failed("Closed after an hour without input or output."),
    }
}

/// Shows output until the process has ended. How, if the client and the process's supervisor are there until then.
async fn show(mut output: AttachedOutput, screen: &mut dyn Screen, active: &Mutex<Instant>) -> Option<Exit> {
    loop {
        let Ok(next) = timeout(PING, output.next()).await else {
            screen.ping().await.ok()?;
            continue;
        };
        match next.ok()?? {
            FromProcess::Exited(exit) => return Some(exit),
            output => screen.show(output).await.ok()?,
        }
        touch(active);
    }
}

/// Passes input on until the client is gone.
async fn write(mut input: Input, mut process: AttachedInput, active: &Mutex<Instant>) {
    while let Some(message) = input.next().await {
        let written = match message {
            FromClient::Input(bytes) => process.write(&bytes).await,
            FromClient::EndOfInput => process.end().await,
            FromClient::Resize(size) => process.resize(size).await,
        };
        if written.is_err() {
            // The process is ending, and how is about to be shown.
            return future::pending().await;
        }
        touch(active);
    }
}

async fn idle(active: &Mutex<Instant>) {
    loop {
        let left = IDLE.saturating_sub(active.lock().unwrap_or_else(PoisonError::into_inner).elapsed());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}

fn touch(active: &Mutex<Instant>) {
    *active.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}
