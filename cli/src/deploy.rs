//! `deploy` and `redeploy`: builds source code that is not pushed, and waits for the outcome.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use api::{
    builds::{Build, BuildCreate, BuildRedeploy, BuildStatus, SourceBlob},
    client::Client,
};
use clap::Args;
use tokio::time::sleep;

use crate::{
    archive::Archive,
    context::{AppFlags, Context},
    output::{self, Action, app as named, note},
    streams, transport,
};

/// How often the platform is asked for the outcome.
const AGAIN: Duration = Duration::from_secs(1);

/// Deploys a folder or a commit without git push, and waits until it is up
#[derive(Args)]
#[command(after_help = "\
Of a git repository, tracked files are sent as they are on disk, and new files that .gitignore does not exclude; with \
--ref, the files of that commit. Outside of a repository, all files are sent. An archive (.tar, .tar.gz) is sent as it \
is. Files that .slugignore excludes are left out by the platform.

Exit status: 0 if the release is up and stays up; 1 if the build, the release command or a web dyno failed; 2 if the \
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
    /// How long to wait for the release: up, or for how many seconds it has to stay up [default: see releases:watch]
    #[arg(long, value_name = "WHEN")]
    wait: Option<String>,
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
        let build = client.build_create(&name, &BuildCreate { source_blob, buildpacks: None, wait: self.wait }).await?;
        finish(cx, &name, build, self.no_wait).await
    }
}

/// Builds the code that is running again, and waits until it is up
#[derive(Args)]
#[command(after_help = "The exit status is that of `wharf deploy`.")]
pub struct Redeploy {
    #[command(flatten)]
    app: AppFlags,
    /// How long to wait for the release: up, or for how many seconds it has to stay up [default: see releases:watch]
    #[arg(long, value_name = "WHEN")]
    wait: Option<String>,
    /// Return as soon as the build is queued
    #[arg(long)]
    no_wait: bool,
}

impl Redeploy {
    /// `redeploy`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let build = cx.client()?.build_redeploy(&name, &BuildRedeploy { wait: self.wait }).await?;
        finish(cx, &name, build, self.no_wait).await
    }
}

/// Follows a build to its outcome, which is that of its release, and prints it. With `--json`, stdout has the build
/// alone.
async fn finish(cx: &Context, app: &str, build: Build, no_wait: bool) -> Result<()> {
    let client = cx.client()?;
    if no_wait {
        note(format!("Build {} is queued. Its output: wharf builds:output {0} --app {app}", build.number));
        return if cx.json { output::json(&build) } else { Ok(()) };
    }
    if !cx.json {
        streams::show(&build.output_stream_url).await?;
    }
    let build = ended(client, app, &build).await?;
    let release = match &build.release {
        Some(release) => Some(client.release_info(app, &release.id.to_string()).await?),
        None => None,
    };
    if let Some(url) = release.as_ref().and_then(|release| release.output_stream_url.as_deref()).filter(|_| !cx.json) {
        note("Output of the release command:");
        streams::show(url).await?;
    }
    if build.status == BuildStatus::Failed {
        let why = build.error.map(|why| format!(": {why}")).unwrap_or_default();
        bail!("Build {} of {} failed{why}.", build.number, named(app));
    }
    if let Some(release) = release {
        note(format!("Deployed v{} to {}", release.version, named(app)));
    }
    if cx.json { output::json(&build) } else { Ok(()) }
}

/// The build, once it has ended. It waits for its release, and fails if that does not stay up.
async fn ended(client: &Client, app: &str, build: &Build) -> Result<Build> {
    loop {
        let now = client.build_info(app, &build.id.to_string()).await?;
        if !matches!(now.status, BuildStatus::Pending | BuildStatus::Unknown) {
            return Ok(now);
        }
        sleep(AGAIN).await;
    }
}
