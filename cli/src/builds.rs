//! `builds`: builds, their status and output.

use anyhow::{Result, bail};
use api::{
    builds::{Build, BuildStatus},
    client::{Client, segment},
};
use chrono::Utc;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, Cell, DIM, GREEN, RED, Table, YELLOW, ago, app as named, heading, moment},
    streams,
};

/// Lists the builds of an app, newest first
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
    /// Number of builds
    #[arg(short, long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    num: u16,
}

impl List {
    /// `builds`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let builds = newest(cx.client()?, &name, self.num).await?;
        if cx.json {
            return output::json(&builds);
        }
        if builds.is_empty() {
            out!("{} has no builds. Deploy it with: git push wharf main", named(&name));
            return Ok(());
        }
        heading(format!("{name} Builds"));
        let mut table = Table::new(&["Build", "Status", "Commit", "By", "When", "Took", "Id"]);
        for build in &builds {
            table.row(row(build));
        }
        table.print();
        Ok(())
    }
}

fn row(build: &Build) -> [Cell; 7] {
    let (word, colour) = status(build);
    let commit = build.source_blob.version.as_deref().unwrap_or_default();
    let is_hash = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    [
        format!("#{}", build.number).into(),
        Cell::new(word, colour),
        if is_hash { &commit[..8] } else { commit }.into(),
        Cell::new(&build.user.email, DIM),
        Cell::new(ago(build.created_at, Utc::now()), DIM),
        Cell::new(took(build), DIM),
        Cell::new(build.id, DIM),
    ]
}

fn status(build: &Build) -> (String, &'static str) {
    match build.status {
        BuildStatus::Pending if build.queue_position > 0 => (format!("queued ({})", build.queue_position), DIM),
        BuildStatus::Pending => ("building".into(), YELLOW),
        BuildStatus::Succeeded => ("succeeded".into(), GREEN),
        BuildStatus::Failed => ("failed".into(), RED),
        BuildStatus::Unknown => ("unknown".into(), DIM),
    }
}

fn took(build: &Build) -> String {
    let end = if build.status.is_pending() { Utc::now() } else { build.updated_at };
    output::span((end - build.created_at).num_seconds().unsigned_abs())
}

async fn newest(client: &Client, app: &str, max: u16) -> Result<Vec<Build>> {
    let path = format!("/apps/{}/builds", segment(app));
    let range = format!("number ..; max={max}, order=desc");
    Ok(client.list_part(path, Some(range)).await?)
}

/// The build given by `text` as `#3`, `3` or an id; by default the newest.
async fn find(client: &Client, app: &str, text: Option<&str>) -> Result<Build> {
    if let Some(text) = text {
        return Ok(client.build_info(app, text.trim_start_matches('#')).await?);
    }
    match newest(client, app, 1).await?.pop() {
        Some(build) => Ok(build),
        None => bail!("{} has no builds. Deploy it with: git push wharf main", named(app)),
    }
}

/// Shows one build in detail
#[derive(Args)]
pub struct Info {
    /// Number or id of the build [default: the newest]
    build: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Info {
    /// `builds:info`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let build = find(cx.client()?, &name, self.build.as_deref()).await?;
        if cx.json {
            return output::json(&build);
        }
        let packs = build.buildpacks.iter().filter_map(|b| b.url.as_deref().or(b.name.as_deref()));
        heading(format!("Build #{}", build.number));
        output::pairs(&[
            ("Status", status(&build).0),
            ("Error", build.error.clone().unwrap_or_default()),
            ("By", build.user.email.clone()),
            ("Commit", build.source_blob.version.clone().unwrap_or_default()),
            ("Buildpacks", packs.collect::<Vec<_>>().join(", ")),
            ("Stack", build.stack.clone()),
            ("When", moment(build.created_at)),
            ("Took", took(&build)),
            ("Id", build.id.to_string()),
        ]);
        Ok(())
    }
}

/// Streams the output of a build
#[derive(Args)]
pub struct Output {
    /// Number or id of the build [default: the newest]
    build: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Output {
    /// `builds:output`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let build = find(cx.client()?, &name, self.build.as_deref()).await?;
        streams::show(&build.output_stream_url).await
    }
}

/// Cancels a build that is queued or running
#[derive(Args)]
pub struct Cancel {
    /// Number or id of the build [default: the newest]
    build: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Cancel {
    /// `builds:cancel`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let build = find(client, &name, self.build.as_deref()).await?;
        let action = Action::start(format!("Cancelling build #{} of {}", build.number, named(&name)));
        let build = client.build_cancel(&name, &build.id.to_string()).await?;
        action.finish(cx.json, &build)
    }
}

/// Empties the build cache of an app, so that the next build installs everything anew
#[derive(Args)]
pub struct CachePurge {
    #[command(flatten)]
    app: AppFlags,
}

impl CachePurge {
    /// `builds:cache:purge`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let action = Action::start(format!("Emptying the build cache of {}", named(&name)));
        let response = client.build_cache_delete(&name).await?;
        action.finish(cx.json, &response)
    }
}
