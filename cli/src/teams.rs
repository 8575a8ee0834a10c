//! `teams`: your teams, and locking their apps.

use anyhow::Result;
use api::teams::{Team, TeamAppUpdate, TeamCreate};
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, Table, app as named},
};

/// The team of a command.
#[derive(Args)]
pub struct TeamFlag {
    /// The team
    #[arg(short, long, value_name = "TEAM", env = "WHARF_TEAM", hide_env = true)]
    pub team: String,
}

/// Lists your teams
#[derive(Args)]
pub struct List {}

impl List {
    /// `teams`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let teams: Vec<Team> = cx.client()?.team_list().await?;
        if cx.json {
            return output::json(&teams);
        }
        if teams.is_empty() {
            out!("You are not in a team yet. Create one: wharf teams:create NAME");
            return Ok(());
        }
        let mut table = Table::new(&["Team", "Role"]);
        for team in &teams {
            table.row([(&team.name).into(), team.role.as_str().into()]);
        }
        table.print();
        Ok(())
    }
}

/// Creates a team, with you as its admin
#[derive(Args)]
pub struct Create {
    /// Name of the team
    name: String,
}

impl Create {
    /// `teams:create`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start(format!("Creating the team {}", self.name));
        let team = cx.client()?.team_create(&TeamCreate { name: self.name }).await?;
        action.finish(cx.json, &team)
    }
}

/// Deletes a team that has no apps
#[derive(Args)]
pub struct Destroy {
    /// The team
    #[arg(value_name = "TEAM", required_unless_present = "flag")]
    name: Option<String>,
    /// The team, as with other commands
    #[arg(short, long = "team", value_name = "TEAM", conflicts_with = "name")]
    flag: Option<String>,
}

impl Destroy {
    /// `teams:destroy`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.name.or(self.flag).unwrap_or_default();
        let action = Action::start(format!("Deleting the team {name}"));
        let team = cx.client()?.team_delete(&name).await?;
        action.finish(cx.json, &team)
    }
}

/// Locks an app: team members need explicit access
#[derive(Args)]
pub struct Lock {
    #[command(flatten)]
    app: AppFlags,
}

impl Lock {
    /// `apps:lock`
    pub async fn run(self, cx: &Context) -> Result<()> {
        lock(cx, &self.app.app(cx)?, true).await
    }
}

/// Unlocks an app for the members of its team
#[derive(Args)]
pub struct Unlock {
    #[command(flatten)]
    app: AppFlags,
}

impl Unlock {
    /// `apps:unlock`
    pub async fn run(self, cx: &Context) -> Result<()> {
        lock(cx, &self.app.app(cx)?, false).await
    }
}

async fn lock(cx: &Context, app: &str, locked: bool) -> Result<()> {
    let action = Action::start(format!("{} {}", if locked { "Locking" } else { "Unlocking" }, named(app)));
    let update = TeamAppUpdate { locked: Some(locked), owner: None };
    let app = cx.client()?.team_app_update(app, &update).await?;
    action.finish(cx.json, &app)
}
