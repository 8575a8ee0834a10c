//! `apps`: list, create, show, rename and destroy apps.

use anyhow::Result;
use api::{
    apps::{App, AppCreate, AppUpdate},
    formation::Formation,
    statuses::AppSummary,
    teams::TeamAppCreate,
};
use chrono::Utc;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    git,
    output::{self, Action, Cell, DIM, Table, ago, app as named, bytes, heading, moment},
    statuses,
};

/// Lists your apps
#[derive(Args)]
pub struct List {
    /// Print names only
    #[arg(long)]
    names: bool,
    /// Only apps of this team
    #[arg(short, long, value_name = "TEAM")]
    team: Option<String>,
}

impl List {
    /// `apps`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        if self.names || cx.json {
            let apps: Vec<App> = match &self.team {
                Some(team) => client.team_app_list(team).await?,
                None => client.app_list().await?,
            };
            if !self.names {
                return output::json(&apps);
            }
            apps.iter().for_each(|app| out!("{}", app.name));
            return Ok(());
        }
        let mut apps = client.app_summary_list().await?;
        if let Some(team) = &self.team {
            let own: Vec<App> = client.team_app_list(team).await?;
            apps.retain(|app| own.iter().any(|a| a.id == app.id));
        }
        if apps.is_empty() {
            out!("You have no apps. Create one: wharf create NAME");
            return Ok(());
        }
        apps.sort_by(|a, b| a.name.cmp(&b.name));
        let mut table = Table::new(&["App", "State", "Dynos", "Release", "Last change", "URL"]);
        for app in &apps {
            table.row(summary(app));
        }
        table.print();
        Ok(())
    }
}

fn summary(app: &AppSummary) -> [Cell; 6] {
    let (word, colour) = statuses::condition(app);
    let release = app.release.as_ref();
    [
        app.name.as_str().into(),
        Cell::new(word, colour),
        format!("{}/{}", app.dynos_up, app.dynos_wanted).into(),
        release.map(|r| format!("v{} {}", r.version, shorten(&r.description))).unwrap_or_default().into(),
        Cell::new(release.map(|r| ago(r.created_at, Utc::now())).unwrap_or_default(), DIM),
        Cell::new(&app.web_url, DIM),
    ]
}

/// The first 40 characters of `text`.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 { text.into() } else { text.chars().take(39).chain(['…']).collect() }
}

/// Creates an app
#[derive(Args)]
pub struct Create {
    /// Name of the app [default: generated]
    name: Option<String>,
    /// Same as NAME, as in Heroku's CLI
    #[arg(short, long, value_name = "NAME", conflicts_with = "name")]
    app: Option<String>,
    /// Stack to build and run on
    #[arg(short, long)]
    stack: Option<String>,
    /// Region to run in
    #[arg(long)]
    region: Option<String>,
    /// Buildpack to use instead of detecting one; repeat to run several in order
    #[arg(short, long)]
    buildpack: Vec<String>,
    /// Team that owns the app, instead of you
    #[arg(short, long, value_name = "TEAM")]
    team: Option<String>,
    /// Name of the git remote to add
    #[arg(short, long, default_value = git::REMOTE)]
    remote: String,
    /// Do not add a git remote
    #[arg(short, long)]
    no_remote: bool,
}

impl Create {
    /// `create`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        let name = self.name.or(self.app);
        let action = Action::start(match &name {
            Some(name) => format!("Creating {}", named(name)),
            None => "Creating app".into(),
        });
        let create = AppCreate { name: name.clone(), region: self.region, stack: self.stack };
        let app = match self.team {
            Some(team) => {
                let of_team = TeamAppCreate { app: create, team: Some(team), ..TeamAppCreate::default() };
                client.team_app_create(&of_team).await?
            }
            None => client.app_create(&create).await?,
        };
        action.done_with(if name.is_some() { String::new() } else { named(&app.name) });
        if !self.buildpack.is_empty() {
            let action = Action::start(format!("Setting buildpack to {}", self.buildpack.join(", ")));
            client.buildpack_installation_update(&app.name, &self.buildpack).await?;
            action.done();
        }
        let address = cx.address()?;
        let url = git::url_of(address, &app.name);
        if cx.json {
            output::json(&app)?;
        } else {
            out!("{} | {url}", app.web_url);
        }
        // The app exists already: a git problem is a warning, not a failure.
        let remote = (!self.no_remote && git::is_repository()).then_some(self.remote);
        if let Err(err) = set_up_git(cx, remote.as_deref(), &app.name) {
            output::warn(format!("{err:#}"));
        }
        Ok(())
    }
}

fn set_up_git(cx: &Context, remote: Option<&str>, app: &str) -> Result<()> {
    let address = cx.address()?;
    git::set_up_helper(address)?;
    if let Some(remote) = remote {
        if git::add_remote(address, remote, app)? {
            output::note(format!("Git remote {remote} added"));
        } else {
            let option = if remote == git::REMOTE { String::new() } else { format!(" --remote {remote}") };
            output::note(format!("The git remote {remote} already exists and was not changed."));
            output::note(format!("To point it at {}, run: wharf git:remote --app {app}{option}", named(app)));
        }
    }
    Ok(())
}

/// Shows an app in detail
#[derive(Args)]
pub struct Info {
    /// The app
    name: Option<String>,
    #[command(flatten)]
    app: AppFlags,
    /// Print key=value lines
    #[arg(short, long)]
    shell: bool,
}

impl Info {
    /// `info`
    pub async fn run(mut self, cx: &Context) -> Result<()> {
        self.app.app = self.name.take().or(self.app.app);
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let app = client.app_info(&name);
        let formation = client.formation_list(&name);
        let collaborators = client.collaborator_list(&name);
        let held = async { Ok(statuses::held(client, &name).await) };
        let (app, formation, collaborators, held) = tokio::try_join!(app, formation, collaborators, held)?;
        if cx.json {
            let all = serde_json::json!({ "app": app, "formation": formation, "collaborators": collaborators });
            return output::json(&all);
        }
        let url = git::url_of(cx.address()?, &app.name);
        if self.shell {
            for (key, value) in shell_fields(&app, &formation, url) {
                out!("{key}={}", output::shell_quote(&value));
            }
            return Ok(());
        }
        let others = collaborators.iter().map(|c| c.user.email.as_str()).filter(|email| *email != app.owner.email);
        let fields = fields(&app, &formation, url, &others.collect::<Vec<_>>().join(", "));
        heading(&app.name);
        output::pairs(&fields);
        if let Some(held) = held {
            out!("\n{}", output::paint(output::YELLOW, statuses::held_message(&held, Utc::now())));
        }
        Ok(())
    }
}

fn dynos(formation: &[Formation]) -> String {
    // The release phase is not a running dyno.
    let kinds = formation.iter().filter(|f| f.kind != "release");
    kinds.map(|f| format!("{}: {}", f.kind, f.quantity)).collect::<Vec<_>>().join(", ")
}

/// For scripts: sizes in bytes, times in RFC 3339, and every key is always present.
fn shell_fields(app: &App, formation: &[Formation], git_url: String) -> Vec<(&'static str, String)> {
    let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
    vec![
        ("name", app.name.clone()),
        ("created_at", app.created_at.to_rfc3339()),
        ("dynos", dynos(formation)),
        ("git_url", git_url),
        ("maintenance", app.maintenance.to_string()),
        ("owner", app.owner.email.clone()),
        ("region", app.region.name.clone()),
        ("released_at", app.released_at.map(|at| at.to_rfc3339()).unwrap_or_default()),
        ("repo_size", number(app.repo_size)),
        ("slug_size", number(app.slug_size)),
        ("stack", app.stack.name.clone()),
        ("web_url", app.web_url.clone()),
    ]
}

fn fields(app: &App, formation: &[Formation], git_url: String, others: &str) -> Vec<(&'static str, String)> {
    let size = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).map(bytes).unwrap_or_default();
    let stack = if app.stack == app.build_stack {
        app.stack.name.clone()
    } else {
        format!("{} (next build will use {})", app.stack.name, app.build_stack.name)
    };
    vec![
        ("Buildpack", app.buildpack_provided_description.clone().unwrap_or_default()),
        ("Collaborators", others.into()),
        ("Created At", moment(app.created_at)),
        ("Dynos", dynos(formation)),
        ("Git URL", git_url),
        ("Maintenance", if app.maintenance { "on" } else { "off" }.into()),
        ("Owner", app.owner.email.clone()),
        ("Region", app.region.name.clone()),
        ("Released At", app.released_at.map(moment).unwrap_or_default()),
        ("Repo Size", size(app.repo_size)),
        ("Slug Size", size(app.slug_size)),
        ("Stack", stack),
        ("Web URL", app.web_url.clone()),
    ]
}

/// Renames an app, which also changes its URL
#[derive(Args)]
pub struct Rename {
    /// The new name
    name: String,
    #[command(flatten)]
    app: AppFlags,
}

impl Rename {
    /// `rename`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let old = self.app.app(cx)?;
        let action = Action::start(format!("Renaming {} to {}", named(&old), self.name));
        let update = AppUpdate { name: Some(self.name), ..Default::default() };
        let app = cx.client()?.app_update(&old, &update).await?;
        action.done();
        let address = cx.address()?;
        for remote in git::move_remotes(address, &old, Some(&app.name)).unwrap_or_default() {
            output::note(format!("Git remote {remote} updated"));
        }
        if cx.json {
            return output::json(&app);
        }
        out!("{} | {}", app.web_url, git::url_of(address, &app.name));
        Ok(())
    }
}

/// Permanently destroys an app and all its data
#[derive(Args)]
pub struct Destroy {
    /// The app
    name: Option<String>,
    #[command(flatten)]
    app: AppFlags,
    /// Name of the app, to skip the confirmation prompt
    #[arg(short, long, value_name = "APP")]
    confirm: Option<String>,
}

impl Destroy {
    /// `destroy`
    pub async fn run(mut self, cx: &Context) -> Result<()> {
        self.app.app = self.name.take().or(self.app.app);
        let name = self.app.app(cx)?;
        let app = cx.client()?.app_info(&name).await?;
        let what = format!("This destroys {} with its code, releases, config vars and logs.", named(&app.name));
        output::confirm(&app.name, self.confirm.as_deref(), &what)?;
        let action = Action::start(format!("Destroying {}", named(&app.name)));
        let gone = cx.client()?.app_delete(&app.id.to_string()).await?;
        action.done();
        for remote in git::move_remotes(cx.address()?, &app.name, None).unwrap_or_default() {
            output::note(format!("Git remote {remote} removed"));
        }
        if cx.json { output::json(&gone) } else { Ok(()) }
    }
}

/// Opens an app in the browser, or prints its URL if there is none
#[derive(Args)]
pub struct Open {
    /// Path to open
    path: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Open {
    /// `open`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let app = cx.client()?.app_info(&self.app.app(cx)?).await?;
        let path = self.path.unwrap_or_default();
        let url = format!("{}/{}", app.web_url.trim_end_matches('/'), path.trim_start_matches('/'));
        if cx.json {
            return output::json(&serde_json::json!({ "url": url }));
        }
        if has_display() && start_browser(&url) {
            output::note(format!("Opening {url}"));
        } else {
            out!("{url}");
        }
        Ok(())
    }
}

/// xdg-open falls back to text browsers, which would take over the terminal.
fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
}

fn start_browser(url: &str) -> bool {
    use std::process::{Command, Stdio};
    let quiet = || Stdio::null();
    Command::new("xdg-open").arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn().is_ok()
}

/// Shows whether maintenance mode is on
#[derive(Args)]
pub struct Maintenance {
    #[command(flatten)]
    app: AppFlags,
}

impl Maintenance {
    /// `maintenance`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let app = cx.client()?.app_info(&self.app.app(cx)?).await?;
        if cx.json {
            return output::json(&serde_json::json!({ "maintenance": app.maintenance }));
        }
        out!("{}", if app.maintenance { "on" } else { "off" });
        Ok(())
    }
}

/// Turns on maintenance mode: visitors see a maintenance page
#[derive(Args)]
pub struct MaintenanceOn {
    #[command(flatten)]
    app: AppFlags,
}

impl MaintenanceOn {
    /// `maintenance:on`
    pub async fn run(self, cx: &Context) -> Result<()> {
        maintenance(cx, &self.app, true, "Enabling").await
    }
}

/// Turns off maintenance mode
#[derive(Args)]
pub struct MaintenanceOff {
    #[command(flatten)]
    app: AppFlags,
}

impl MaintenanceOff {
    /// `maintenance:off`
    pub async fn run(self, cx: &Context) -> Result<()> {
        maintenance(cx, &self.app, false, "Disabling").await
    }
}

async fn maintenance(cx: &Context, flags: &AppFlags, on: bool, verb: &str) -> Result<()> {
    let name = flags.app(cx)?;
    let action = Action::start(format!("{verb} maintenance mode for {}", named(&name)));
    let update = AppUpdate { maintenance: Some(on), ..Default::default() };
    let app = cx.client()?.app_update(&name, &update).await?;
    action.finish(cx.json, &app)
}
