//! Runs the release phase: a one-off dyno with the new slug and configuration.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow};
use api::ids::SlugId;
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use base::{Kind, Subject, SubjectKind, dyno_sizes, events::EventActor};
use chrono::Utc;
use dyno::{Outcome, Stop, run_to_end};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    output::{Copy, forget_place},
    run::Run,
};
use crate::{Platform, destroy, dyno_metadata, dynos, released};

/// The time limit of a release phase.
const LIMIT: Duration = Duration::from_secs(3600);
/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// If it is still running by then, because the server is down, its shim ends it.
const LAST_LIMIT: Duration = Duration::from_secs(3660);

#[async_trait]
impl Job for Run {
    const KIND: &'static str = "releases.run";
    const CANCEL: Cancel = Cancel::Instead(
        "Cancel the release phase instead: with Cancel on the app's page, or wharf releases:cancel VERSION --app APP.",
    );
    type Context = Platform;

    fn subject(&self) -> Uuid {
        self.release.get()
    }

    async fn run(&self, platform: &Platform, steps: &mut Steps) -> Result<(), Failure> {
        // Before the row is read, so that no cancellation is missed in between.
        let cancel = platform.release_phases().token(self.release);
        let release = store::releases::release_info(platform.db(), self.release).await?;
        let done = match release.filter(|release| release.status.is_pending()) {
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
        platform.driver().remove(self.release.into()).await?;
        forget_place(platform, release.app_id, self.release).await?;
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
        // A job that predates the queue waits for its turn without holding a worker.
        if release.started_at.is_none() && release.cancelled_at.is_none() {
            return Ok(());
        }
        if release.cancelled_at.is_some() {
            cancel.cancel();
        }
        let phase = self.phase(platform, release, &cancel);
        let ended = steps.once("run the release phase", phase).await?;
        // The dyno is removed after its end was recorded, or a retry would run the command again.
        platform.driver().remove(self.release.into()).await.map_err(anyhow::Error::from)?;
        let _ = platform.history().forget(release.app_id, &self.release.to_string());
        forget_place(platform, release.app_id, self.release).await.context("reset the position in the output")?;
        self.settle(platform, release, ended.as_deref()).await?;
        Ok(())
    }

    /// Runs the command; returns `None` if it succeeded, else why it failed.
    async fn phase(
        &self,
        platform: &Platform,
        release: &store::releases::Row,
        cancel: &CancellationToken,
    ) -> Result<Option<String>, Failure> {
        let prepared = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Some("cancelled".to_owned())),
            prepared = self.prepare(platform, release) => prepared?,
        };
        let spec = match prepared {
            Ok(spec) => spec,
            Err(why) => return Ok(Some(why)),
        };
        let (app, name) = (release.app_id, spec.name.as_str());
        platform.supervisor_said(app, name, &format!("Starting process with command `{}`", spec.command));
        let mut copy = Copy::new(platform, app, release.id, name);
        let stop = Stop { limit: LIMIT, grace: GRACE, cancel };
        let outcome = run_to_end(&**platform.driver(), &spec, stop, &mut copy).await.map_err(anyhow::Error::from)?;
        copy.finish().await.context("copy the output of the release phase")?;
        let why = match outcome {
            Outcome::Cancelled => Some("cancelled".to_owned()),
            Outcome::TimedOut => Some("it took longer than an hour and was stopped".to_owned()),
            Outcome::Exited(exit) => {
                let sentence = dynos::exit_sentence(&exit);
                platform.supervisor_said(app, name, &sentence);
                (exit.code != Some(0)).then_some(sentence)
            }
        };
        Ok(why)
    }

    /// The dyno that runs the command, once the slug is unpacked; or the error of the slug.
    async fn prepare(
        &self,
        platform: &Platform,
        release: &store::releases::Row,
    ) -> Result<Result<dyno::Spec, String>, Failure> {
        let db = platform.db();
        let app = store::apps::app_info(db, release.app_id).await?;
        let slug = match release.slug_id {
            Some(id) => store::slugs::slug_info(db, id).await?,
            None => None,
        };
        let (Some(app), Some(slug)) = (app, slug) else { return Err(Failure::Final(anyhow!("the app is gone"))) };
        let command = slug.process_types.get("release").cloned().unwrap_or_default();
        store::releases::release_has_output(db, release.id).await?;
        platform.publish(Kind::Release, app.id);
        let root = match unpacked(platform, release, slug.id).await? {
            Ok(root) => root,
            Err(why) => return Ok(Err(format!("the slug cannot be unpacked: {why}"))),
        };
        let (app_name, dyno) = (app.name.as_str(), release.id.get());
        let of = dyno_metadata::Process { app: app.id, app_name, dyno, release, slug: &slug };
        let vars = of.vars(platform).await?;
        let size = dyno_sizes::size("Standard-1X").ok_or_else(|| anyhow!("Standard-1X is a size"))?;
        Ok(Ok(dynos::spec(dynos::Wanted {
            run: release.id.into(),
            name: &format!("release.{}", 1000 + release.version),
            uid: app.uid,
            command: &command,
            root,
            vars,
            size,
            disk: platform.config().dyno_disk,
            web: false,
            time: Some(LAST_LIMIT),
        })))
    }

    async fn settle(
        &self,
        platform: &Platform,
        release: &store::releases::Row,
        failed: Option<&str>,
    ) -> anyhow::Result<()> {
        let name = format!("v{}", release.version);
        let subject = Subject::new(SubjectKind::Release, release.id, name).part_of(release.app_id);
        let mut tx = platform.change(EventActor::platform(), subject).await.map_err(|err| anyhow!("{err}"))?;
        store::apps::app_lock(&mut *tx, release.app_id).await?;
        super::queue::lock(&mut tx).await?;
        let end = store::releases::release_end(&mut *tx, release.id, failed, Utc::now()).await?;
        let current = store::releases::release_current(&mut *tx, release.app_id).await?;
        let has_succeeded = end.as_ref().is_some_and(|end| end.succeeded);
        if has_succeeded && current.is_none_or(|c| c.id == release.id) {
            let slug = match release.slug_id {
                Some(id) => store::slugs::slug_info(&mut *tx, id).await?,
                None => None,
            };
            released::settle(&mut tx, release.app_id, slug.as_ref()).await.map_err(|err| anyhow!("{err}"))?;
        } else if has_succeeded {
            // A later release without a phase has succeeded meanwhile: this one never takes effect.
            store::rollouts::rollout_supersede(&mut *tx, release.app_id, Utc::now()).await?;
        }
        let next = super::queue::start(&mut tx).await.context("start the next release phases")?;
        next.into_iter().for_each(|app| tx.publish(Kind::Release, Some(app)));
        if let Some(end) = &end {
            let summary = match &end.error {
                Some(why) => format!("The release phase of v{} failed: {why}.", release.version),
                None => format!("The release phase of v{} succeeded.", release.version),
            };
            let data = serde_json::json!({ "release": release.version, "succeeded": end.succeeded });
            tx.record("release.phase", summary, data);
        }
        tx.commit().await?;
        destroy::part_ended(platform, release.app_id).await;
        if let Some(end) = end {
            let text = match end.error.filter(|_| end.cancelled) {
                _ if end.succeeded => format!("Release v{} succeeded", release.version),
                Some(why) => format!("Release v{} failed: {why}", release.version),
                None => format!("Release v{} failed: the release command exited with an error", release.version),
            };
            platform.said(release.app_id, "api", &text);
        }
        Ok(())
    }
}

/// The folder of the slug, or the error of the slug. Until it is unpacked, the job waits without holding a worker,
/// and is woken when it is.
async fn unpacked(
    platform: &Platform,
    release: &store::releases::Row,
    slug: SlugId,
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
