//! `deploy` and `redeploy`: builds source code that is not pushed, and waits for the outcome.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use api::{
    builds::{Build, BuildCreate, BuildStatus, SourceBlob},
    client::Client,
    dynos::DynoState,
    releases::{Release, ReleaseStatus},
};
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::{
    archive::Archive,
    context::{AppFlags, Context},
    output::{self, Action, app as named, note},
    streams, transport,
};

/// How often the platform is asked for the outcome.
const AGAIN: Duration = Duration::from_secs(1);
/// How long web dynos may take to start: a dyno that has not bound its port after a minute is killed.
const START: Duration = Duration::from_secs(120);

/// Deploys a folder or a commit without git push, and waits until it is up
#[derive(Args)]
#[command(after_help = "\
Of a git repository, tracked files are sent as they are on disk, and new files that .gitignore does not exclude; with \
--ref, the files of that commit. Outside of a repository, all files are sent. An archive (.tar, .tar.gz) is sent as it \
is. Files that .slugignore excludes are left out by the platform.

Exit status: 0 if the release is up; 1 if the build, the release command or the start of the web dynos failed; 2 if the \
platform rejected the request.")]
pub struct Deploy {
    /// Folder or archive [default: the current folder]
    path: Option<PathBuf>,
    #[command(flatten)]
    app: AppFlags,
    /// A commit, branch or tag of this folder's repository instead
    #[arg(long = "ref", value_name = "REF", conflicts_with = "path")]
    reference: Option<String>,
    /// Name of the version [default: the commit]
    #[arg(long, value_name = "NAME")]
    source_version: Option<String>,
    /// Return as soon as the build is queued
    #[arg(long)]
    no_wait: bool,
}

impl Deploy {
    /// `deploy`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let archive = match &self.reference {
            Some(reference) => Archive::of_commit(reference)?,
            None => Archive::of_path(&self.path.unwrap_or_else(|| ".".into()))?,
        };
        let version = self.source_version.or_else(|| archive.version.clone());
        let version_description = archive.description.clone();
        let size = output::bytes(archive.size());
        let action = Action::start(format!("Uploading {size} to {}", named(&name)));
        let source = client.source_create(&name).await?.source_blob;
        transport::upload(&source.put_url, archive).await?;
        action.done();
        let source_blob = SourceBlob { url: Some(source.get_url), version, version_description, checksum: None };
        let build = client.build_create(&name, &BuildCreate { source_blob, buildpacks: None }).await?;
        finish(cx, &name, build, self.no_wait).await
    }
}

/// Builds the code that is running again, and waits until it is up
#[derive(Args)]
pub struct Redeploy {
    #[command(flatten)]
    app: AppFlags,
    /// Return as soon as the build is queued
    #[arg(long)]
    no_wait: bool,
}

impl Redeploy {
    /// `redeploy`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let build = cx.client()?.build_redeploy(&name).await?;
        finish(cx, &name, build, self.no_wait).await
    }
}

/// Follows a build to its outcome, and prints it. With `--json`, stdout has the build alone.
async fn finish(cx: &Context, app: &str, build: Build, no_wait: bool) -> Result<()> {
    let client = cx.client()?;
    if no_wait {
        note(format!("Build {} is queued. Its output: wharf builds:output {0} --app {app}", build.number));
        return if cx.json { output::json(&build) } else { Ok(()) };
    }
    if !cx.json {
        streams::show(&build.output_stream_url).await?;
    }
    let build = built(client, app, &build).await?;
    if let Some(release) = &build.release {
        let release = client.release_info(app, &release.id.to_string()).await?;
        took_effect(client, app, release, cx.json).await?;
    }
    if cx.json { output::json(&build) } else { Ok(()) }
}

/// The build, once it has succeeded.
async fn built(client: &Client, app: &str, build: &Build) -> Result<Build> {
    loop {
        let now = client.build_info(app, &build.id.to_string()).await?;
        match now.status {
            BuildStatus::Succeeded => return Ok(now),
            BuildStatus::Failed => {
                let why = now.error.map(|why| format!(": {why}")).unwrap_or_default();
                bail!("Build {} of {} failed{why}. Nothing has changed.", now.number, named(app));
            }
            BuildStatus::Pending | BuildStatus::Unknown => sleep(AGAIN).await,
        }
    }
}

/// Waits for the release command and for the first web dyno, and fails if one of them does. The one place that knows
/// when a release counts as deployed.
pub async fn took_effect(client: &Client, app: &str, release: Release, quiet: bool) -> Result<()> {
    let release = phase(client, app, release, quiet).await?;
    let started = Instant::now();
    loop {
        match start(client, app, release.version).await? {
            Start::Up => break,
            Start::NoWeb => {
                note(format!("{} has no web dyno. To start one: wharf ps:scale web=1 --app {app}", named(app)));
                break;
            }
            Start::Replaced(version) => bail!("v{version} of {} replaced v{}.", named(app), release.version),
            Start::Failed(why) => bail!(
                "v{} of {} does not start: {why}. An earlier release keeps serving, if there is one. \
                 See: wharf logs --app {app}, wharf rollback --app {app}",
                release.version,
                named(app)
            ),
            Start::Waiting if started.elapsed() > START => bail!(
                "v{} of {} has not started within {} seconds. See: wharf ps --app {app}",
                release.version,
                named(app),
                START.as_secs()
            ),
            Start::Waiting => sleep(AGAIN).await,
        }
    }
    note(format!("Deployed v{} to {}", release.version, named(app)));
    Ok(())
}

/// The release after its release command, whose output is printed.
async fn phase(client: &Client, app: &str, mut release: Release, quiet: bool) -> Result<Release> {
    let mut is_shown = quiet;
    loop {
        match release.status {
            ReleaseStatus::Pending if !is_shown && release.output_stream_url.is_some() => {
                is_shown = true;
                streams::show(release.output_stream_url.as_deref().unwrap_or_default()).await?;
            }
            ReleaseStatus::Pending | ReleaseStatus::Unknown => sleep(AGAIN).await,
            ReleaseStatus::Failed => {
                let why = release.error.map(|why| format!(" ({why})")).unwrap_or_default();
                bail!(
                    "The release command of v{} of {} failed{why}. The previous release keeps running. \
                     Its output: wharf releases:output v{0} --app {app}",
                    release.version,
                    named(app)
                );
            }
            ReleaseStatus::Succeeded | ReleaseStatus::Expired => return Ok(release),
        }
        release = client.release_info(app, &release.id.to_string()).await?;
    }
}

/// How the start of a release goes.
#[derive(Debug, PartialEq)]
enum Start {
    Up,
    /// There is nothing to start.
    NoWeb,
    Failed(String),
    /// Another release has started meanwhile.
    Replaced(i32),
    Waiting,
}

async fn start(client: &Client, app: &str, version: i32) -> Result<Start> {
    let status = client.app_status(app).await?;
    if !status.formation.iter().any(|process| process.kind == "web" && process.quantity > 0) {
        return Ok(Start::NoWeb);
    }
    if let Some(held) = status.held.filter(|held| held.version == version)
        && let Some(why) = held.last_exit
    {
        return Ok(Start::Failed(why));
    }
    let newest = status.dynos.iter().map(|dyno| dyno.release.version).max().unwrap_or_default();
    if newest > version {
        return Ok(Start::Replaced(newest));
    }
    let mut web = status.dynos.iter().filter(|dyno| dyno.kind == "web" && dyno.release.version == version);
    Ok(match web.clone().any(|dyno| dyno.state == DynoState::Up) {
        true => Start::Up,
        false => match web.find(|dyno| dyno.state == DynoState::Crashed) {
            Some(dyno) => Start::Failed(dyno.last_exit.clone().unwrap_or_else(|| "it crashed".into())),
            None => Start::Waiting,
        },
    })
}
