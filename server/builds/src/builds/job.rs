//! Runs a build: builds, stores the slug, releases it, and moves the pushed branch.

use std::path::Path;

use anyhow::anyhow;
use api::ids::{ReleaseId, SlugId};
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use base::{
    Error, Kind, Subject, SubjectKind,
    events::{EventActor, Originator},
};
use chrono::Utc;
use platform::{config_values, destroy, outputs, releases, slugs::archives};
use serde::{Deserialize, Serialize};
use store::builds::Row;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    launch::{Launched, wait_of},
    output::{self, print},
    run::Run,
    source,
};
use crate::{Builds, addresses, git, slugs};

/// The properties of a slug that are recorded between two steps.
#[derive(Serialize, Deserialize)]
enum Built {
    Slug(SlugId),
    /// An error of the app: the build failed, not the platform.
    Failed(String),
    Cancelled,
}

#[async_trait]
impl Job for Run {
    const KIND: &'static str = "builds.run";
    const ATTEMPTS: i32 = 5;
    const CANCEL: Cancel =
        Cancel::Instead("Cancel the build instead: with Cancel on its page, or wharf builds:cancel NUMBER --app APP.");
    type Context = Builds;

    fn subject(&self) -> Uuid {
        self.build.get()
    }

    async fn run(&self, builds: &Builds, steps: &mut Steps) -> Result<(), Failure> {
        // Before the row is read, so that no cancellation is missed in between.
        builds.running().token(self.build);
        let Some(build) = store::builds::build_info(builds.db(), self.build).await?.filter(|b| b.status.is_pending())
        else {
            builds.running().forget(self.build);
            return Ok(());
        };
        let build = addresses::opened(builds.secrets(), build)?;
        if build.cancelled_at.is_some() {
            return self.end(builds, &build, "Build cancelled").await;
        }
        // Once there is a release, that decides about the branch.
        if build.release_id.is_none() && self.is_stale(builds, &build).await? {
            self.print(builds, &build, repositories::STALE).await?;
            return self.end(builds, &build, "The branch has moved").await;
        }
        let slug = SlugId::now_v7();
        let built = steps.once("build", self.build(builds, &build, slug)).await?;
        let slug = match built {
            Built::Slug(slug) => slug,
            Built::Failed(why) => return self.end(builds, &build, &why).await,
            Built::Cancelled => return self.end(builds, &build, "Build cancelled").await,
        };
        if build.release_id.is_none()
            && let Err(why) = releases::admit(builds.db(), build.app_id).await
        {
            return match why {
                Error::Public(why) => self.end(builds, &build, why.message.trim_end_matches('.')).await,
                Error::Internal(err) => Err(Failure::Retry(err)),
            };
        }
        let release = steps.once("choose the release", async { Ok(ReleaseId::now_v7()) }).await?;
        if !store::builds::build_releases(builds.db(), self.build, release).await? {
            return self.end(builds, &build, "Build cancelled").await;
        }
        let version = steps.once("release", self.release(builds, &build, slug, release)).await?;
        // It can no longer be cancelled, and may continue in another process.
        builds.running().forget(self.build);
        match self.launch(builds, &build, release, steps).await? {
            Launched::Well(lines) => self.finish(builds, &build, (release, version), &lines).await,
            Launched::Failed(why) => self.end(builds, &build, &why).await,
        }
    }

    async fn give_up(&self, builds: &Builds, why: &anyhow::Error) -> anyhow::Result<()> {
        tracing::error!(build.id = %self.build, "could not build: {why:#}");
        let Some(build) = store::builds::build_info(builds.db(), self.build).await? else { return Ok(()) };
        let build = addresses::opened(builds.secrets(), build)?;
        let said = match base::error::is_disk_full(why) {
            true => "the platform's disk is full; its operator has to free space, then push again",
            false => "the platform could not run the build; see its log",
        };
        self.end(builds, &build, said).await.map_err(|_| anyhow!("end the build"))
    }
}

impl Run {
    /// Whether a concurrent push has moved the branch while the build waited, and the commit does not go on from there. If
    /// the branch is already at the commit, this is the rest of an interrupted build.
    async fn is_stale(&self, builds: &Builds, build: &Row) -> anyhow::Result<bool> {
        let (Some(name), Some(old), Some(new)) = (&build.git_ref, &build.git_old, &build.git_new) else {
            return Ok(false);
        };
        builds.git().is_stale(build.app_id, name, (old, new)).await
    }

    pub(super) async fn print(&self, builds: &Builds, build: &Row, line: &str) -> anyhow::Result<()> {
        print(builds, build.app_id, self.build, &without_secrets(build, line)).await
    }

    async fn build(&self, builds: &Builds, build: &Row, slug: SlugId) -> Result<Built, Failure> {
        let db = builds.db();
        let Some(app) = store::apps::app_info(db, build.app_id).await? else {
            return Ok(Built::Failed("the app was destroyed".into()));
        };
        let folder = source::folder(builds, self.build);
        let outcome = self.build_in(builds, build, &app, (&folder, slug)).await;
        match &outcome {
            // Whoever has cancelled it waits for its end.
            Err(builder::Error::Cancelled) => source::remove_later(&folder).await,
            _ => source::remove(&folder).await?,
        }
        match outcome {
            Ok(made) => self.keep(builds, build, slug, made).await.map_err(Failure::Retry),
            // What steps and jobs store is visible to others.
            Err(builder::Error::Failed { why }) => Ok(Built::Failed(without_secrets(build, &why))),
            Err(builder::Error::Cancelled) => Ok(Built::Cancelled),
            Err(builder::Error::Other(err)) => {
                let err = anyhow!(without_secrets(build, &format!("{err:#}")));
                self.print(builds, build, &format!(" !     The platform had an error ({err:#}) and will retry."))
                    .await?;
                Err(Failure::Retry(err))
            }
        }
    }

    async fn build_in(
        &self,
        builds: &Builds,
        build: &Row,
        app: &store::apps::Row,
        (folder, slug): (&Path, SlugId),
    ) -> Result<builder::Slug, builder::Error> {
        let cancel = builds.running().token(self.build);
        tokio::select! {
            biased;
            // Its worker is ended with it.
            () = cancel.cancelled() => return Err(builder::Error::Cancelled),
            fetched = source::fetch(builds, build, app.uid as u32, folder) => fetched?,
        }
        let db = builds.db();
        let vars = config_values::current(builds.secrets(), db, app.id)
            .await
            .map_err(|err| builder::Error::Other(anyhow!("{err}")))?;
        let who = store::accounts::account_info(db, build.account_id).await.map_err(anyhow::Error::from);
        let may_use_host = who.map_err(builder::Error::Other)?.is_some_and(|who| who.admin);
        let request = builder::Request {
            build_id: self.build,
            uid: app.uid as u32,
            stack: build.stack.clone(),
            source: folder.to_owned(),
            // Before the slug is stored: a released one can be unpacked wherever it is needed later.
            unpacked: builds.slug_files().folder(app.id, slug),
            cache: builds.config().data.join("cache").join(app.id.to_string()),
            buildpacks: build.buildpacks.clone(),
            may_use_host,
            env: vars,
            source_version: build.source_version.clone().unwrap_or_default(),
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let config = super::config(builds);
        let building = async {
            let outcome = builder::build(builds.driver().as_ref(), &config, &request, &sender, cancel).await;
            drop(sender);
            outcome
        };
        let (outcome, written) = tokio::join!(building, self.write(builds, build, receiver));
        written.map_err(builder::Error::Other)?;
        outcome
    }

    /// Writes lines of output to the file that is streamed, up to its limit. Then it closes the channel: the build
    /// continues, and the rest of its output is discarded.
    async fn write(
        &self,
        builds: &Builds,
        build: &Row,
        mut lines: mpsc::UnboundedReceiver<String>,
    ) -> anyhow::Result<()> {
        let (mut batch, mut left) = (Vec::new(), output::left(builds, build.app_id, self.build).await);
        while lines.recv_many(&mut batch, 1000).await > 0 {
            let text = batch.join("\n");
            batch.clear();
            let Some(rest) = left.checked_sub(text.len() as u64) else {
                return self.print(builds, build, &outputs::omitted("build", outputs::MOST_OUTPUT)).await;
            };
            left = rest;
            self.print(builds, build, &text).await?;
        }
        Ok(())
    }

    async fn keep(&self, builds: &Builds, build: &Row, slug: SlugId, made: builder::Slug) -> anyhow::Result<Built> {
        if let Err(why) = slugs::check_types(&made.process_types) {
            let _ = tokio::fs::remove_file(&made.file).await;
            // Like those of builds that were interrupted here, its folder is removed with the unused ones.
            return Ok(Built::Failed(why.to_string().trim_end_matches('.').to_owned()));
        }
        let now = Utc::now();
        let row = store::slugs::Row {
            id: slug,
            app_id: build.app_id,
            checksum: Some(made.checksum.clone()),
            size: Some(i64::try_from(made.size).unwrap_or(i64::MAX)),
            process_types: sqlx::types::Json(made.process_types),
            buildpack_description: made.buildpack_description,
            commit: build.git_new.clone().or_else(|| build.source_version.clone()),
            commit_description: build.source_description.clone(),
            stack: build.stack.clone(),
            fault: None,
            refused: false,
            created_at: now,
            updated_at: now,
        };
        // Slow work is done before the transaction, which finds the archive in place.
        builds.slug_files().put(&made.checksum, &made.file).await?;
        let mut tx = builds.db().begin().await?;
        archives::keep(builds, &mut tx, &made.checksum, &made.file).await?;
        store::slugs::slug_create(&mut *tx, &row).await?;
        store::builds::build_slug(&mut *tx, self.build, slug).await?;
        tx.commit().await?;
        let _ = tokio::fs::remove_file(&made.file).await;
        Ok(Built::Slug(slug))
    }

    async fn release(&self, builds: &Builds, build: &Row, slug: SlugId, release: ReleaseId) -> Result<i32, Failure> {
        self.print(builds, build, "-----> Launching...").await?;
        let told = |err: Error| anyhow!("{err}");
        let originator = originator(builds, build).await?;
        let commit = build.git_new.clone().or_else(|| build.source_version.clone());
        let short = commit.as_deref().map(|c| c.chars().take(8).collect::<String>()).filter(|c| !c.is_empty());
        let description = short.map_or_else(|| "Deploy".to_owned(), |c| format!("Deploy {c}"));
        let subject = Subject::new(SubjectKind::Release, release, &description).part_of(build.app_id);
        let mut tx = builds.change(originator, subject).await.map_err(told)?;
        store::apps::app_lock(&mut *tx, build.app_id).await?;
        if let Some(made) = store::releases::release_info(&mut *tx, release).await? {
            return Ok(made.version);
        }
        let new = releases::New {
            id: Some(release),
            app: build.app_id,
            description: &description,
            slug: Some(slug),
            commit,
            // Checked when the release was chosen. From then on, the build cannot be cancelled and must not fail.
            is_admitted: true,
            watch: wait_of(build).watch_seconds(),
            ..releases::New::default()
        };
        // The current config vars, not those at the start of the build.
        let config = config_values::Config::Keep;
        let version = releases::create_for(builds, &mut tx, build.account_id, &new, config).await.map_err(told)?;
        let summary = format!("{description} (v{version}), from build {}.", build.number);
        let data = serde_json::json!({ "release": version, "build": build.id, "account": build.account_id });
        tx.record("release.create", summary, data);
        // Its slot is free.
        tx.publish(Kind::Build, Some(build.app_id));
        tx.commit().await?;
        let short: String = build.source_version.as_deref().unwrap_or_default().chars().take(8).collect();
        builds.said(build.app_id, "api", "Build succeeded");
        builds.said(build.app_id, "api", &format!("Deploy {short} by user {}", build.email));
        releases::announce(builds, build.app_id, version, &build.email);
        Ok(version)
    }

    /// The last steps: the branch and the status. This releases everybody who waits for the build. `lines` are the end
    /// of its output.
    async fn finish(
        &self,
        builds: &Builds,
        build: &Row,
        (release, version): (ReleaseId, i32),
        lines: &[String],
    ) -> Result<(), Failure> {
        if let (Some(name), Some(old), Some(new)) = (&build.git_ref, &build.git_old, &build.git_new) {
            git::move_ref(builds, build.app_id, name, old, new).await?;
        }
        self.print(builds, build, &format!("       Released v{version}")).await?;
        for line in lines {
            self.print(builds, build, line).await?;
        }
        store::builds::build_succeed(builds.db(), self.build, release, Utc::now()).await?;
        builds.running().forget(self.build);
        builds.publish(Kind::Build, build.app_id);
        destroy::part_ended(builds, build.app_id).await;
        Ok(())
    }

    async fn end(&self, builds: &Builds, build: &Row, why: &str) -> Result<(), Failure> {
        // Leftovers of a killed server. If they cannot be removed now, `Strays` retries.
        if build.started_at.is_some()
            && let Err(err) = super::clear(builds, self.build).await
        {
            tracing::warn!(build.id = %self.build, "could not clean up after a build: {err:#}");
        }
        let why = &without_secrets(build, why);
        self.print(builds, build, "").await?;
        self.print(builds, build, &format!(" !     Push rejected, {}.", lower(why))).await?;
        builds.running().forget(self.build);
        let name = format!("build {}", build.number);
        let subject = Subject::new(SubjectKind::Build, build.id, name).part_of(build.app_id);
        let mut tx = builds.change(EventActor::platform(), subject).await.map_err(|err| anyhow!("{err}"))?;
        if store::builds::build_fail(&mut *tx, self.build, why, Utc::now()).await? {
            let summary = format!("Build {} failed: {why}.", build.number);
            tx.record("build.fail", summary, serde_json::json!({ "build": build.id }));
            tx.commit().await?;
            let what = if build.release_id.is_some() { "Deploy" } else { "Build" };
            builds.said(build.app_id, "api", &format!("{what} failed: {why}"));
        }
        destroy::part_ended(builds, build.app_id).await;
        Ok(())
    }
}

/// The output of a build, without the passwords in the URLs that it uses.
fn without_secrets(build: &Row, text: &str) -> String {
    builder::without_secrets(text, build.buildpacks.iter().chain(&build.source_url).map(String::as_str))
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Who requested a build, from its own event.
async fn originator(builds: &Builds, build: &store::builds::Row) -> sqlx::Result<Originator> {
    let found = store::events::event_of_build(builds.db(), build.app_id, build.id).await?;
    let (credential, address) = found.unwrap_or_default();
    let (account, email) = (build.account_id, build.email.clone());
    Ok(Originator { account, email, credential, token: None, address })
}
