//! Runs a dyno to its end: starts it, passes its output on, and stops it when it is cancelled or takes too long.
//!
//! Builds and release phases are run like this. The dyno outlives its caller: calling again after a restart of the
//! server continues with the same dyno, from the cursor that the caller has stored.

use std::{io, time::Duration};

use async_trait::async_trait;
use chrono::Utc;
use spool::{Batch, Cursor, Entry, Pause, Source};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Driver, Error, Exit, Handle, Spec};

/// The pause before output is read again. The dyno's exit is not polled.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// Entries in one read.
const BATCH: usize = 1000;

/// How the dyno ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// By itself.
    Exited(Exit),
    /// It was stopped because the caller cancelled it.
    Cancelled,
    /// It was stopped because it took too long.
    TimedOut,
}

/// Receives the output of a dyno.
#[async_trait]
pub trait Output: Send {
    /// The dyno is being started; its output follows, from the returned cursor on. An error ends the run, but not the
    /// dyno.
    async fn begin(&mut self, handle: &Handle) -> io::Result<Cursor> {
        let _ = handle;
        Ok(Cursor::default())
    }

    /// Takes the next entries (at least one) and the cursor behind them. An error ends the run, but not the dyno.
    async fn take(&mut self, entries: Vec<Entry>, place: Cursor) -> io::Result<()>;

    /// Whether entries are deleted once they have been taken, so that they do not fill the disk. Another reader of the
    /// same output would miss them.
    fn is_only_reader(&self) -> bool;

    /// Whether no reader needs the rest of the output, so that it is deleted without being read. The dyno continues,
    /// and its output takes neither memory nor disk space from then on.
    fn is_full(&self) -> bool {
        false
    }
}

/// When a dyno is stopped.
pub struct Stop<'a> {
    /// How long it may run, counted from its start, which may have been before the server restarted.
    pub limit: Duration,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Stops it early.
    pub cancel: &'a CancellationToken,
}

/// Starts the dyno of `spec`, or finds it again, and returns when it has ended and `output` has all of its output. It
/// is not removed.
///
/// # Errors
/// Those of the driver, and of `output`; the dyno may still run then.
pub async fn run_to_end(
    driver: &dyn Driver,
    spec: &Spec,
    stop: Stop<'_>,
    output: &mut dyn Output,
) -> Result<Outcome, Error> {
    let handle = driver.start(spec).await?;
    let place = output.begin(&handle).await.map_err(Error::io("start reading the output of a dyno"))?;
    let mut source = driver.output(spec.id, place);
    let has_run = (Utc::now() - handle.started_at).to_std().unwrap_or_default();
    let deadline = Instant::now() + stop.limit.saturating_sub(has_run);
    let exited = driver.wait(spec.id);
    tokio::pin!(exited);
    let mut pause = Pause::between(SHORTEST_PAUSE, LONGEST_PAUSE);
    let mut wait = pause.take();
    let outcome = loop {
        tokio::select! {
            exit = &mut exited => break Outcome::Exited(exit?),
            () = stop.cancel.cancelled() => break Outcome::Cancelled,
            () = sleep_until(deadline) => break Outcome::TimedOut,
            () = sleep(wait) => {
                // Only one batch, since a dyno that prints faster than it is read has to be stopped, too.
                let read;
                (source, read) = pass_on(source, output).await?;
                if !matches!(read, Read::Nothing | Read::End) {
                    pause.reset();
                }
                wait = if matches!(read, Read::Full) { Duration::ZERO } else { pause.take() };
            }
        }
    };
    let mut has_exited = true;
    if !matches!(outcome, Outcome::Exited(_)) {
        driver.signal(spec.id, libc::SIGTERM).await?;
        let mut ended = timeout(stop.grace, &mut exited).await;
        if ended.is_err() {
            driver.signal(spec.id, libc::SIGKILL).await?;
            ended = timeout(stop.grace, &mut exited).await;
        }
        // If even that did not stop it, its output has no end, and removing the dyno reports why.
        has_exited = matches!(ended, Ok(Ok(_)));
    }
    pause.reset();
    loop {
        let read;
        (source, read) = pass_on(source, output).await?;
        match read {
            Read::End => return Ok(outcome),
            Read::Nothing if !has_exited => return Ok(outcome),
            Read::Nothing => sleep(pause.take()).await,
            Read::Entries | Read::Full => {}
        }
    }
}

/// The outcome of a read.
enum Read {
    /// Everything has been read, and there will be no more.
    End,
    /// Nothing for now.
    Nothing,
    /// All entries available for now.
    Entries,
    /// Some of the available entries.
    Full,
}

impl Read {
    fn of(batch: &Batch) -> Self {
        match (batch.is_end, batch.entries.is_empty(), batch.is_full) {
            (true, ..) => Read::End,
            (_, true, _) => Read::Nothing,
            (.., true) => Read::Full,
            _ => Read::Entries,
        }
    }
}

/// Passes on the next batch of what has been written so far, or discards it.
async fn pass_on(mut source: Box<dyn Source>, output: &mut dyn Output) -> Result<(Box<dyn Source>, Read), Error> {
    let (is_full, forgets) = (output.is_full(), output.is_only_reader());
    let read = tokio::task::spawn_blocking(move || {
        if is_full {
            let is_end = source.discard()?;
            return Ok((source, Batch { is_end, ..Batch::default() }));
        }
        let batch = source.read_batch(BATCH)?;
        if forgets {
            source.forget_consumed()?;
        }
        Ok::<_, io::Error>((source, batch))
    });
    let (source, batch) =
        read.await.map_err(io::Error::other).flatten().map_err(Error::io("read the output of a dyno"))?;
    let read = Read::of(&batch);
    if !batch.entries.is_empty() {
        output.take(batch.entries, batch.cursor).await.map_err(Error::io("pass on the output of a dyno"))?;
    }
    Ok((source, read))
}

#[cfg(test)]
mod tests {
    use api::ids::RunId;

    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::{Artifact, Limits, Mounts, fake::FakeDriver};

    #[derive(Default)]
    struct Lines(Vec<String>);

    #[async_trait]
    impl Output for Lines {
        async fn take(&mut self, entries: Vec<Entry>, _: Cursor) -> io::Result<()> {
            self.0.extend(entries.iter().map(|entry| String::from_utf8_lossy(&entry.text).into_owned()));
            if self.0.iter().any(|line| line == "full") { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn is_only_reader(&self) -> bool {
            true
        }
    }

    struct World {
        driver: Arc<FakeDriver>,
        cancel: CancellationToken,
        spec: Spec,
        folder: tempfile::TempDir,
    }

    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let spec = Spec {
            id: RunId::from_u128(1),
            name: "release.2".to_owned(),
            uid: 1000,
            command: "true".to_owned(),
            env: BTreeMap::new(),
            root: Mounts { artifact: Artifact::Empty, binds: Vec::new() },
            limits: Limits::default(),
            port: None,
            raw: false,
            time: None,
            terminal: None,
        };
        World { driver: Arc::new(FakeDriver::new(folder.path())), cancel: CancellationToken::new(), spec, folder }
    }

    impl World {
        async fn run(&self, limit: Duration) -> (Result<Outcome, Error>, Vec<String>) {
            let mut lines = Lines::default();
            let stop = Stop { limit, grace: Duration::from_millis(50), cancel: &self.cancel };
            let outcome = run_to_end(&*self.driver, &self.spec, stop, &mut lines).await;
            (outcome, lines.0)
        }

        /// Writes while it runs.
        async fn say(&self, text: &str) {
            while self.driver.running(&self.spec.name).is_none() {
                sleep(Duration::from_millis(1)).await;
            }
            self.driver.say(self.spec.id, b'o', text).unwrap();
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn output_is_whole_when_a_dyno_has_ended() {
        let world = world();
        let ((outcome, lines), ()) = tokio::join!(world.run(LONG), async {
            world.say("first").await;
            sleep(LONGEST_PAUSE * 2).await;
            world.say("last").await;
            world.driver.exit(world.spec.id, 3);
        });
        assert!(matches!(outcome.unwrap(), Outcome::Exited(exit) if exit.code == Some(3)));
        assert_eq!(lines, ["first", "last"]);
        assert!(world.driver.signals().is_empty());
    }

    #[tokio::test]
    async fn a_dyno_that_is_cancelled_or_late_is_stopped() {
        let cancelled = world();
        cancelled.cancel.cancel();
        assert_eq!(cancelled.run(LONG).await.0.unwrap(), Outcome::Cancelled);
        let late = world();
        assert_eq!(late.run(Duration::ZERO).await.0.unwrap(), Outcome::TimedOut);
        for world in [cancelled, late] {
            assert_eq!(world.driver.signals()[0], (world.spec.id, libc::SIGTERM));
            assert!(world.driver.running(&world.spec.name).is_none());
        }
    }

    /// Output that is never at its end: each batch makes the next.
    struct Endless<'a>(&'a World, usize);

    #[async_trait]
    impl Output for Endless<'_> {
        async fn take(&mut self, _: Vec<Entry>, _: Cursor) -> io::Result<()> {
            self.1 += 1;
            if self.1 == 3 {
                self.0.cancel.cancel();
            }
            if self.0.driver.running(&self.0.spec.name).is_some() {
                self.0.driver.say(self.0.spec.id, b'o', "more")?;
            }
            Ok(())
        }

        fn is_only_reader(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn one_that_prints_without_end_is_stopped() {
        let world = world();
        world.driver.start(&world.spec).await.unwrap();
        world.say("first").await;
        let stop = Stop { limit: LONG, grace: Duration::from_millis(50), cancel: &world.cancel };
        let mut output = Endless(&world, 0);
        let outcome = run_to_end(&*world.driver, &world.spec, stop, &mut output).await;
        assert_eq!(outcome.unwrap(), Outcome::Cancelled);
    }

    /// Takes one batch.
    #[derive(Default)]
    struct Small(Lines);

    #[async_trait]
    impl Output for Small {
        async fn take(&mut self, entries: Vec<Entry>, place: Cursor) -> io::Result<()> {
            self.0.take(entries, place).await
        }

        fn is_only_reader(&self) -> bool {
            false
        }

        fn is_full(&self) -> bool {
            !self.0.0.is_empty()
        }
    }

    #[tokio::test]
    async fn unneeded_output_is_deleted_unread_while_the_dyno_runs() {
        let world = world();
        let stop = Stop { limit: LONG, grace: Duration::from_millis(50), cancel: &world.cancel };
        let mut output = Small::default();
        let spool = world.folder.path().join(world.spec.id.to_string()).join("spool");
        let segments = || std::fs::read_dir(&spool).unwrap().count();
        let prints = async {
            world.say("first").await;
            // More than a batch, in several segments of a megabyte.
            let long = "x".repeat(100_000);
            for _ in 0..50 {
                world.say(&long).await;
            }
            while segments() > 1 {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(world.driver.running(&world.spec.name).is_some());
            world.driver.exit(world.spec.id, 0);
        };
        let (outcome, ()) = tokio::join!(run_to_end(&*world.driver, &world.spec, stop, &mut output), prints);
        assert!(matches!(outcome.unwrap(), Outcome::Exited(exit) if exit.code == Some(0)));
        assert!(output.0.0[0] == "first" && output.0.0.len() < 10, "{} lines", output.0.0.len());
    }

    #[tokio::test]
    async fn output_that_cannot_be_passed_on_is_an_error_and_leaves_the_dyno_alone() {
        let world = world();
        let ((outcome, _), ()) = tokio::join!(world.run(LONG), world.say("full"));
        assert!(matches!(outcome, Err(Error::Io { doing, .. }) if doing == "pass on the output of a dyno"));
        assert!(world.driver.running(&world.spec.name).is_some() && world.driver.signals().is_empty());
    }

    #[tokio::test]
    async fn a_dyno_is_found_again_with_all_of_its_output() {
        let world = world();
        world.driver.start(&world.spec).await.unwrap();
        world.say("before").await;
        world.driver.exit(world.spec.id, 0);
        let (outcome, lines) = world.run(LONG).await;
        assert!(matches!(outcome.unwrap(), Outcome::Exited(_)));
        assert_eq!((lines.as_slice(), world.driver.started().len()), (["before".to_owned()].as_slice(), 1));
    }
}
