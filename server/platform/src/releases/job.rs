//! Runs the release phase: a one-off dyno with the new slug and configuration.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use base::{dyno_sizes, events};
use chrono::Utc;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::run::Run;
use crate::{Platform, config_values, dynos, outputs};

/// A release phase may take this long. See behaviour.md 1.5.
const LIMIT: Duration = Duration::from_secs(3600);
/// If it is not ended by then, because the server is away, its shim ends it.
const LAST_LIMIT: Duration = Duration::from_secs(3660);

#[async_trait]
impl Job for Run {
    const KIND: &'static str = "releases.run";
    const CANCEL: Cancel = Cancel::Instead(
        "Cancel the release phase instead: with Cancel on the app's page, or wharf releases:cancel VERSION --app APP.",
    );
    type Context = Platform;

    fn subject(&self) -> Uuid {
        self.release
    }

    async fn run(&self, platform: &Platform, steps: &mut Steps) -> Result<(), Failure> {
        // Before the row is read, so that no cancellation falls between the two.
        let cancel = platform.release_phases().token(self.release);
        let release = store::releases::release_info(platform.db(), self.release).await?;
        let is_pending = |release: &store::releases::Row| release.status == "pending";
        let done = match release.filter(is_pending) {
            Some(release) => self.run_pending(platform, &release, steps, cancel).await,
            None => Ok(()),
        };
        if done.is_ok() {
            platform.release_phases().forget(self.release);
        }
        done
    }

    async fn give_up(&self, platform: &Platform, why: &anyhow::Error) -> anyhow::Result<()> {
        tracing::warn!(release.id = %self.release, "could not run the release phase: {why:#}");
        let Some(release) = store::releases::release_info(platform.db(), self.release).await? else { return Ok(()) };
        platform.driver().remove(self.release).await?;
        self.settle(platform, &release, Some("the platform could not run it; see its log")).await?;
        platform.release_phases().forget(self.release);
        Ok(())
    }
}

impl Run {
    async fn run_pending(
        &self,
        platform: &Platform,
        release: &store::releases::Row,
        steps: &mut Steps,
        cancel: CancellationToken,
    ) -> Result<(), Failure> {
        // A job from before there was a queue waits for its turn without holding a worker.
        if release.started_at.is_none() && release.cancelled_at.is_none() {
            return Ok(());
        }
        if release.cancelled_at.is_some() {
            cancel.cancel();
        }
        let phase = async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Ok(Some("cancelled".to_owned())),
                ended = self.phase(platform, release) => ended,
            }
        };
        let ended = steps.once("run the release phase", phase).await?;
        // The dyno is removed after its end was recorded, or a retry would run the command again.
        platform.driver().remove(self.release).await.map_err(anyhow::Error::from)?;
        let _ = platform.history().forget(release.app_id, &self.release.to_string());
        self.settle(platform, release, ended.as_deref()).await?;
        Ok(())
    }

    /// Runs the command; `None` when it succeeded, else why not.
    async fn phase(&self, platform: &Platform, release: &store::releases::Row) -> Result<Option<String>, Failure> {
        let db = platform.db();
        let app = store::apps::app_info(db, release.app_id).await?;
        let slug = match release.slug_id {
            Some(id) => store::slugs::slug_info(db, id).await?,
            None => None,
        };
        let (Some(app), Some(slug)) = (app, slug) else { return Err(Failure::Final(anyhow!("the app is gone"))) };
        let command = slug.process_types.get("release").cloned().unwrap_or_default();
        store::releases::release_has_output(db, release.id).await?;
        platform.changed(app.id);
        let name = format!("release.{}", 1000 + release.version);
        let root = match unpacked(platform, release, slug.id).await? {
            Ok(root) => root,
            Err(why) => return Ok(Some(format!("the slug cannot be unpacked: {why}"))),
        };
        let vars = config_values::of_release(platform, app.id, release.id).await.map_err(|err| anyhow!("{err}"))?;
        let size = dyno_sizes::size("Standard-1X").ok_or_else(|| anyhow!("Standard-1X is a size"))?;
        let spec = dynos::spec(dynos::Wanted {
            run: release.id,
            name: &name,
            uid: app.uid,
            command: &command,
            root,
            vars,
            size,
            disk: platform.config().dyno_disk,
            web: false,
            time: Some(LAST_LIMIT),
        });
        platform.supervisor_said(app.id, &name, &format!("Starting process with command `{command}`"));
        let handle = platform.driver().start(&spec).await.map_err(anyhow::Error::from)?;
        let spool = handle.spool.clone();
        // Part of its time has passed when it was started by a server before this one.
        let left = LIMIT.saturating_sub((Utc::now() - handle.started_at).to_std().unwrap_or_default());
        let exit = tokio::select! {
            exit = platform.driver().wait(release.id) => exit.map_err(anyhow::Error::from)?,
            err = copy_forever(platform, release, &name, &spool) => return Err(Failure::Retry(err)),
            () = tokio::time::sleep(left) => {
                platform.driver().signal(release.id, libc_sigkill()).await.map_err(anyhow::Error::from)?;
                platform.driver().wait(release.id).await.map_err(anyhow::Error::from)?
            }
        };
        Copy::open(platform, release, &name, &spool).await?.step().await?;
        let said = dynos::exit_sentence(&exit);
        platform.supervisor_said(app.id, &name, &said);
        Ok((exit.code != Some(0)).then_some(said))
    }

    async fn settle(
        &self,
        platform: &Platform,
        release: &store::releases::Row,
        failed: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut tx = platform.change().await?;
        store::apps::app_lock(&mut *tx, release.app_id).await?;
        super::queue::lock(&mut tx).await?;
        let end = store::releases::release_end(&mut *tx, release.id, failed, Utc::now()).await?;
        let current = store::releases::release_current(&mut *tx, release.app_id).await?;
        // A later release without a phase may have succeeded meanwhile: the formation is that one's.
        if end.as_ref().is_some_and(|end| end.succeeded) && current.is_none_or(|c| c.id == release.id) {
            let slug = match release.slug_id {
                Some(id) => store::slugs::slug_info(&mut *tx, id).await?,
                None => None,
            };
            super::settle(&mut tx, release.app_id, slug.as_ref()).await.map_err(|err| anyhow!("{err}"))?;
        }
        let next = super::queue::start(&mut tx).await.context("start the next release phases")?;
        if let Some(end) = &end {
            let summary = match &end.error {
                Some(why) => format!("The release phase of v{} failed: {why}.", release.version),
                None => format!("The release phase of v{} succeeded.", release.version),
            };
            let data = serde_json::json!({ "release": release.version, "succeeded": end.succeeded });
            let subject = format!("v{}", release.version);
            let event =
                events::New { action: "release.phase", subject: &subject, app: Some(release.app_id), summary, data };
            events::event_of_platform(&mut tx, event).await.map_err(|err| anyhow!("{err}"))?;
        }
        tx.commit().await?;
        next.into_iter().for_each(|app| platform.changed(app));
        if let Some(end) = end {
            let text = match end.error.filter(|_| end.cancelled) {
                _ if end.succeeded => format!("Release v{} succeeded", release.version),
                Some(why) => format!("Release v{} failed: {why}", release.version),
                None => format!("Release v{} failed: the release command exited with an error", release.version),
            };
            platform.said(release.app_id, "api", &text);
        }
        platform.changed(release.app_id);
        platform.wake_dynos();
        Ok(())
    }
}

/// The folder of the slug, or what is wrong with the slug. Until it is unpacked, the job waits without holding a worker,
/// and is woken when it is.
async fn unpacked(
    platform: &Platform,
    release: &store::releases::Row,
    slug: Uuid,
) -> Result<Result<PathBuf, String>, Failure> {
    if let Some(folder) = platform.slug_files().unpacked(release.app_id, slug).await? {
        return Ok(Ok(folder));
    }
    let row = store::slugs::slug_info(platform.db(), slug).await?;
    if let Some(why) = row.filter(|row| row.refused).and_then(|row| row.fault) {
        return Ok(Err(why));
    }
    let waited = release.started_at.and_then(|at| (Utc::now() - at).to_std().ok()).unwrap_or_default();
    if waited > builder::LONGEST * 2 {
        return Err(Failure::Retry(anyhow!("the slug is not unpacked yet")));
    }
    platform.wake_slugs();
    Err(Failure::wait(UNPACKING, "its slug to be unpacked"))
}

/// How often to check for the slug if nothing wakes the job: another release's job may unpack it.
const UNPACKING: Duration = Duration::from_secs(2);

fn libc_sigkill() -> i32 {
    nix::sys::signal::Signal::SIGKILL as i32
}

/// Copies output as it comes, into the file that is streamed and into the app's log.
async fn copy_forever(
    platform: &Platform,
    release: &store::releases::Row,
    name: &str,
    spool: &std::path::Path,
) -> anyhow::Error {
    let mut copy = match Copy::open(platform, release, name, spool).await {
        Ok(copy) => copy,
        Err(err) => return err,
    };
    loop {
        match copy.step().await {
            Ok(0) => tokio::time::sleep(Duration::from_millis(100)).await,
            Ok(_) => platform.changed(release.app_id),
            Err(err) => return err,
        }
    }
}

struct Copy {
    reader: spool::Reader,
    file: PathBuf,
    follower: logs::Follower,
}

impl Copy {
    /// Begins again from the start of the spool: the file is written anew, the log knows its place.
    async fn open(
        platform: &Platform,
        release: &store::releases::Row,
        name: &str,
        spool: &std::path::Path,
    ) -> anyhow::Result<Self> {
        let file = outputs::release_file(platform, release.app_id, release.id);
        let folder = file.parent().ok_or_else(|| anyhow!("the output has a folder"))?;
        tokio::fs::create_dir_all(folder).await.context("make the folder of outputs")?;
        tokio::fs::write(&file, b"").await.context("begin the output")?;
        let dyno = logs::Dyno { app: release.app_id, id: release.id, name: name.into(), spool: spool.into() };
        let follower = logs::Follower::new(platform.history().clone(), dyno)?;
        Ok(Self { reader: spool::Reader::new(spool, spool::Cursor::default()), file, follower })
    }

    async fn step(&mut self) -> anyhow::Result<usize> {
        let mut copied = 0;
        loop {
            let entries = self.reader.read(1000).context("read the output of the release phase")?;
            if entries.is_empty() {
                return Ok(copied);
            }
            copied += entries.len();
            let mut out = tokio::fs::OpenOptions::new().append(true).open(&self.file).await?;
            for entry in entries.iter().filter(|e| e.kind != b's') {
                out.write_all(&entry.text).await?;
                out.write_all(b"\n").await?;
            }
            out.flush().await?;
            self.follower.step(1000)?;
        }
    }
}
