//! `releases`: releases and rollbacks.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use api::{
    apps::AppUpdate,
    client::Client,
    releases::{Release, ReleaseCreate, ReleaseStatus, Rollout},
};
use chrono::Utc;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, Cell, DIM, GREEN, NONE, RED, Table, YELLOW, ago, app as named, heading, moment, note},
    streams,
};

/// How many releases are searched for one to roll back to, or to cancel.
const SCAN: usize = 50;

/// Lists the releases of an app, newest first
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
    /// Number of releases
    #[arg(short, long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    num: u16,
}

impl List {
    /// `releases`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let releases = cx.client()?.release_list(&name, self.num.into()).await?;
        if cx.json {
            return output::json(&releases);
        }
        let Some(newest) = releases.first() else {
            out!("{} has no releases.", named(&name));
            return Ok(());
        };
        let current = releases.iter().find(|r| r.current).unwrap_or(newest);
        heading(format!("{name} Releases - Current: v{}", current.version));
        let mut table = Table::new(&[]);
        for release in &releases {
            let (word, colour) = status(release);
            let at = release.created_at.with_timezone(&chrono::Local).format("%Y/%m/%d %H:%M:%S %z");
            table.row([
                Cell::new(format!("v{}", release.version), if release.current { GREEN } else { NONE }),
                (&release.description).into(),
                Cell::new(word, colour),
                Cell::new(&release.user.email, DIM),
                at.into(),
                Cell::new(format!("(~ {})", ago(release.created_at, Utc::now())), DIM),
            ]);
        }
        table.print();
        Ok(())
    }
}

fn status(release: &Release) -> (&'static str, &'static str) {
    match release.status {
        ReleaseStatus::Pending if release.queued => ("release phase queued", YELLOW),
        ReleaseStatus::Pending => ("release phase running", YELLOW),
        ReleaseStatus::Failed if release.cancellation().is_some() => ("release phase cancelled", RED),
        ReleaseStatus::Failed if release.failed_dyno.is_none() => ("release phase failed", RED),
        ReleaseStatus::Failed if release.up_at.is_none() => ("never came up", RED),
        ReleaseStatus::Failed => ("did not stay up", RED),
        ReleaseStatus::Expired => ("release expired", DIM),
        ReleaseStatus::Succeeded if release.rollout == Rollout::Superseded => ("replaced before it was up", DIM),
        ReleaseStatus::Succeeded if release.current && release.rollout == Rollout::Failed => ("current, crashes", RED),
        ReleaseStatus::Succeeded if release.rollout == Rollout::Failed => ("never came up", RED),
        ReleaseStatus::Succeeded if release.current && release.rollout == Rollout::Waiting => ("starting", YELLOW),
        ReleaseStatus::Succeeded if release.current && release.rollout == Rollout::Watching => {
            ("being watched", YELLOW)
        }
        ReleaseStatus::Succeeded if release.current => ("current", GREEN),
        ReleaseStatus::Succeeded | ReleaseStatus::Unknown => ("", NONE),
    }
}

/// The release given by `text` as `v12` or an id; by default the newest.
async fn find(client: &Client, app: &str, text: Option<&str>) -> Result<Release> {
    match text {
        Some(text) => Ok(client.release_info(app, version(text)).await.map_err(|err| name(err, text))?),
        None => match client.release_list(app, 1).await?.pop() {
            Some(release) => Ok(release),
            None => bail!("{} has no releases.", named(app)),
        },
    }
}

/// The error, with the missing release.
fn name(mut err: api::Error, release: &str) -> api::Error {
    if err.resource.as_deref() == Some("release") {
        err.message = format!("{} ({release}).", err.message.trim_end_matches('.'));
    }
    err
}

/// `v12` -> `12`; ids are unchanged.
fn version(text: &str) -> &str {
    match text.strip_prefix('v') {
        Some(number) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => text,
    }
}

/// Shows one release in detail
#[derive(Args)]
pub struct Info {
    /// Version (v12) or id [default: the newest]
    release: Option<String>,
    #[command(flatten)]
    app: AppFlags,
    /// Print config vars in shell format
    #[arg(short, long)]
    shell: bool,
}

impl Info {
    /// `releases:info`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let release = find(client, &name, self.release.as_deref()).await?;
        let vars = client.release_config_vars(&name, &release.version.to_string()).await?;
        if cx.json {
            return output::json(&serde_json::json!({ "release": release, "config_vars": vars }));
        }
        heading(format!("Release v{}", release.version));
        output::pairs(&[
            ("Add-ons", release.addon_plan_names.join(", ")),
            ("Change", release.description.clone()),
            ("By", release.user.email.clone()),
            ("Commit", release.commit.clone().unwrap_or_default()),
            ("Status", status_word(&release)),
            ("Error", release.failure().or_else(|| release.error.clone()).unwrap_or_default()),
            ("Up", up_word(&release)),
            ("Eligible for Rollback?", if release.eligible_for_rollback { "Yes" } else { "No" }.into()),
            ("When", moment(release.created_at)),
        ]);
        out!("");
        heading(format!("v{} Config vars", release.version));
        for (key, value) in &vars {
            if self.shell { out!("{key}={}", output::shell_quote(value)) } else { out!("{key}: {value}") }
        }
        Ok(())
    }
}

fn status_word(release: &Release) -> String {
    let current = if release.current { " (current)" } else { "" };
    format!("{}{current}", release.status.as_str())
}

/// For how long it was up.
fn up_word(release: &Release) -> String {
    match release.up_at {
        Some(_) => format!("for {}", output::span(release.up_for(Utc::now()).unsigned_abs())),
        None if release.rollout == Rollout::Unknown => String::new(),
        None => "never".to_owned(),
    }
}

/// Waits until a release has stayed up; fails if it does not
///
/// The exit status is 0 if its web dynos have been up for the watch period, or if it has none, and 1 if one of them has
/// crashed, the release phase has failed, or the time is over.
#[derive(Args)]
pub struct Wait {
    /// Version (v12) or id [default: the newest]
    release: Option<String>,
    #[command(flatten)]
    app: AppFlags,
    /// Return as soon as it is up, without waiting for the watch period
    #[arg(long)]
    up: bool,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE)]
    timeout: u64,
}

/// How long to wait for a release, in seconds: a release phase may take an hour.
const PATIENCE: u64 = 4200;
/// How often to look at a release.
const LOOK: Duration = Duration::from_millis(500);

impl Wait {
    /// `releases:wait`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let release = find(client, &name, self.release.as_deref()).await?;
        let action = Action::start(format!("Waiting for v{} of {}", release.version, named(&name)));
        let release = settled(client, &name, release, self.up, self.timeout).await?;
        action.done_with(format!("v{} is up", release.version));
        if cx.json { output::json(&release) } else { Ok(()) }
    }
}

/// The release that has stayed up, or if `up` is set, that is up: `release`, or one with the same code that has replaced
/// it. Fails if it does not stay up, or after `timeout` seconds.
async fn settled(client: &Client, app: &str, mut release: Release, up: bool, timeout: u64) -> Result<Release> {
    let started = Instant::now();
    loop {
        if let Some(why) = release.failure() {
            bail!("v{} failed: {why}\nSee: wharf logs --app {app}", release.version);
        }
        match release.rollout {
            Rollout::Passed => return Ok(release),
            Rollout::Watching if up => return Ok(release),
            Rollout::Superseded => release = successor(client, app, &release).await?,
            _ if started.elapsed() >= Duration::from_secs(timeout) => {
                bail!("v{} is not up after {timeout} seconds.", release.version)
            }
            _ => {
                tokio::time::sleep(LOOK).await;
                release = client.release_info(app, &release.id.to_string()).await?;
            }
        }
    }
}

/// The release with the same code that has replaced one before it was up, such as one with other config vars.
async fn successor(client: &Client, app: &str, release: &Release) -> Result<Release> {
    let all = client.release_list(app, SCAN).await?;
    let is_next =
        |r: &Release| r.version > release.version && r.slug == release.slug && r.rollout != Rollout::Superseded;
    match all.into_iter().filter(is_next).min_by_key(|r| r.version) {
        Some(next) => Ok(next),
        None => bail!("v{} was replaced by another release before it was up.", release.version),
    }
}

/// Shows or sets how long new web dynos have to stay up before the old ones are stopped
#[derive(Args)]
pub struct Watch {
    /// From 0 to 600
    #[arg(value_parser = clap::value_parser!(i32).range(0..=600))]
    seconds: Option<i32>,
    #[command(flatten)]
    app: AppFlags,
}

impl Watch {
    /// `releases:watch`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        if let Some(seconds) = self.seconds {
            let action = Action::start(format!("Setting the watch period of {} to {seconds} s", named(&name)));
            let update = AppUpdate { watch_seconds: Some(seconds), ..Default::default() };
            let app = client.app_update(&name, &update).await?;
            return action.finish(cx.json, &app);
        }
        let app = client.app_info(&name).await?;
        if cx.json {
            return output::json(&serde_json::json!({ "watch_seconds": app.watch_seconds }));
        }
        out!("{}", app.watch_seconds);
        Ok(())
    }
}

/// Prints the output of a release's release phase
#[derive(Args)]
pub struct Output {
    /// Version (v12) or id [default: the newest]
    release: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Output {
    /// `releases:output`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let release = find(cx.client()?, &name, self.release.as_deref()).await?;
        match &release.output_stream_url {
            Some(url) => streams::show(url).await,
            None => {
                output::warn(format!("Release v{} has no release output available.", release.version));
                Ok(())
            }
        }
    }
}

/// Cancels a release phase that is queued or running
#[derive(Args)]
pub struct Cancel {
    /// Version (v12) or id [default: the one that is running]
    release: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Cancel {
    /// `releases:cancel`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let release = match &self.release {
            Some(text) => find(client, &name, Some(text)).await?,
            None => running(client, &name).await?,
        };
        let version = release.version;
        let action = Action::start(format!("Cancelling the release phase of v{version} of {}", named(&name)));
        let release = client.release_cancel(&name, &release.id.to_string()).await?;
        action.finish(cx.json, &release)
    }
}

/// The release whose release phase is running: the oldest one that is pending, since those of an app run one at a time.
async fn running(client: &Client, app: &str) -> Result<Release> {
    let newest = client.release_list(app, SCAN).await?;
    match newest.into_iter().rfind(|release| release.status.is_pending()) {
        Some(release) => Ok(release),
        None => bail!("{} does not have a running or queued release phase.", named(app)),
    }
}

/// Runs the release command of a release again, and releases its code if that succeeds
#[derive(Args)]
pub struct Retry {
    /// Version (v12) or id [default: the newest]
    release: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Retry {
    /// `releases:retry`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let release = find(client, &name, self.release.as_deref()).await?;
        let version = release.version;
        // One that was cancelled before its turn has no output.
        let had_phase = release.output_stream_url.is_some() || release.status == ReleaseStatus::Failed;
        let Some(slug) = release.slug.filter(|_| had_phase) else {
            bail!(
                "v{version} of {} has no release command. Declare one in the Procfile: release: COMMAND",
                named(&name)
            );
        };
        if release.status.is_pending() {
            bail!("The release phase of v{version} has not ended. To cancel it: wharf releases:cancel v{version}");
        }
        let action = Action::start(format!("Retrying v{version} of {}", named(&name)));
        let description = Some(format!("Retry of v{version}: {}", release.description));
        let create = ReleaseCreate { slug: Some(slug.id.to_string()), description, ..Default::default() };
        let made = client.release_create(&name, &create).await?;
        action.done_with(format!("v{}", made.version));
        note_phase(&made, &name);
        let action = Action::start(format!("Waiting for v{} of {}", made.version, named(&name)));
        let release = settled(client, &name, made, false, PATIENCE).await?;
        action.done_with(format!("v{} is up", release.version));
        if cx.json { output::json(&release) } else { Ok(()) }
    }
}

/// Rolls back to the code and config vars of an earlier release
#[derive(Args)]
pub struct Rollback {
    /// v12 or an id [default: the newest earlier one that was up, with different code or config vars]
    release: Option<String>,
    #[command(flatten)]
    app: AppFlags,
    /// Show the effects without changing anything
    #[arg(long)]
    dry_run: bool,
}

impl Rollback {
    /// `rollback`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let newest = client.release_list(&name, SCAN).await?;
        let current = newest.iter().find(|r| r.current);
        let to = match &self.release {
            Some(text) => find(client, &name, Some(text)).await?,
            None => {
                already_back(&newest, current)?;
                before(client, &name, &newest, current).await?
            }
        };
        if self.dry_run {
            let effects = client.release_rollback_effects(&name, &to.version.to_string()).await?;
            if cx.json {
                return output::json(&effects);
            }
            heading(format!("Effects of a rollback to v{}", to.version));
            effects.effects.iter().for_each(|effect| out!("{effect}"));
            return Ok(());
        }
        if to.slug.is_none() {
            output::warn(format!("v{} has no code, so all dynos will stop.", to.version));
        }
        let action = Action::start(format!("Rolling back {} to v{}", named(&name), to.version));
        let create = ReleaseCreate { release: Some(to.id.to_string()), ..Default::default() };
        let release = client.release_create(&name, &create).await?;
        action.done_with(format!("v{}", release.version));
        if let Some(current) = current {
            note(format!("To undo, run: wharf rollback v{} --app {name}", current.version));
        }
        note_phase(&release, &name);
        if cx.json { output::json(&release) } else { Ok(()) }
    }
}

/// Rejects a rollback without a version while the newest release is one that has failed: the one before serves already.
fn already_back(releases: &[Release], current: Option<&Release>) -> Result<()> {
    let failed = releases.first().filter(|newest| newest.status == ReleaseStatus::Failed);
    if let (Some(failed), Some(current)) = (failed, current) {
        bail!(
            "v{} has failed, and v{} serves: there is nothing to undo. To go further back, name a release: wharf \
             rollback VERSION",
            failed.version,
            current.version
        );
    }
    Ok(())
}

/// The default target of a rollback.
async fn before(client: &Client, app: &str, releases: &[Release], current: Option<&Release>) -> Result<Release> {
    for release in candidates(releases, current) {
        // With the same code, only different config vars make a rollback worthwhile.
        if current.is_some_and(|c| c.slug == release.slug) {
            let effects = client.release_rollback_effects(app, &release.version.to_string()).await?;
            if effects.config_set.is_empty() && effects.config_unset.is_empty() {
                continue;
            }
        }
        return Ok(release.clone());
    }
    bail!(
        "{} has no earlier release with code that differs from what is running and was up. See: wharf releases --app \
         {app}",
        named(app)
    )
}

/// Releases before the current one that were up and have code, newest first: one that never came up, or without code,
/// would stop everything, so it has to be given explicitly.
fn candidates<'a>(releases: &'a [Release], current: Option<&'a Release>) -> impl Iterator<Item = &'a Release> {
    let limit = current.map_or(i32::MAX, |c| c.version);
    releases.iter().filter(move |r| r.version < limit && r.is_rollback_target())
}

/// Prints a note if a release is waiting for its release phase.
pub fn note_phase(release: &Release, app: &str) {
    let version = release.version;
    if release.status.is_pending() {
        note(format!(
            "The release phase of v{version} is running. v{version} takes effect when it succeeds: \
             wharf releases:output v{version} --app {app}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v_of_versions_is_removed() {
        assert_eq!(version("v12"), "12");
        assert_eq!(version("12"), "12");
        assert_eq!(version("v"), "v");
        let id = "0b9a1c1e-0000-7000-8000-000000000000";
        assert_eq!(version(id), id);
    }
}
