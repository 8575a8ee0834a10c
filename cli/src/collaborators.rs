//! `access`: the collaborators of an app.

use anyhow::Result;
use api::collaborators::{Collaborator, CollaboratorCreate, CollaboratorUpdate};
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    next_steps,
    output::{self, Action, Cell, DIM, Table, app as named},
};

/// Lists the collaborators of an app
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
}

impl List {
    /// `access`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let people = cx.client()?.collaborator_list(&self.app.app(cx)?).await?;
        if cx.json {
            return output::json(&people);
        }
        let mut table = Table::new(&["Email", "Role", "Permissions"]);
        for person in &people {
            table.row([(&person.user.email).into(), person.role.as_str().into(), Cell::new(rights(person), DIM)]);
        }
        table.print();
        Ok(())
    }
}

fn rights(person: &Collaborator) -> String {
    person.permissions.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Adds a collaborator to an app
#[derive(Args)]
pub struct Add {
    /// Email address
    email: String,
    #[command(flatten)]
    app: AppFlags,
    /// Permissions: view, deploy, operate, manage; or finer: status, logs, config, push, scale, access
    #[arg(short, long, value_delimiter = ',')]
    permissions: Option<Vec<String>>,
}

impl Add {
    /// `access:add`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let action = Action::start(format!("Adding {} access to the app {}", self.email, named(&name)));
        let create = CollaboratorCreate { user: Some(self.email), permissions: self.permissions };
        let client = cx.client()?;
        let person = client.collaborator_create(&name, &create).await?;
        action.finish(cx.json, &person)?;
        next_steps::print(client.collaborator_next_step(&name, &person.id.to_string())).await;
        Ok(())
    }
}

/// Removes a collaborator from an app
#[derive(Args)]
pub struct Remove {
    /// Email address
    email: String,
    #[command(flatten)]
    app: AppFlags,
}

impl Remove {
    /// `access:remove`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let action = Action::start(format!("Removing {} access from the app {}", self.email, named(&name)));
        let person = cx.client()?.collaborator_delete(&name, &self.email).await?;
        action.finish(cx.json, &person)
    }
}

/// Changes a collaborator's permissions
#[derive(Args)]
pub struct Update {
    /// Email address
    email: String,
    #[command(flatten)]
    app: AppFlags,
    /// New permissions: view, deploy, operate, manage; or finer: status, logs, config, push, scale, access
    #[arg(short, long, value_delimiter = ',', required = true)]
    permissions: Vec<String>,
}

impl Update {
    /// `access:update`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let action = Action::start(format!("Updating {} in the app {}", self.email, named(&name)));
        let update = CollaboratorUpdate { permissions: self.permissions };
        let person = cx.client()?.collaborator_update(&name, &self.email, &update).await?;
        action.done_with(rights(&person));
        if cx.json { output::json(&person) } else { Ok(()) }
    }
}

/// Joins an app of your team as a collaborator
#[derive(Args)]
pub struct Join {
    #[command(flatten)]
    app: AppFlags,
}

impl Join {
    /// `apps:join`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let action = Action::start(format!("Joining {}", named(&name)));
        let create = CollaboratorCreate { user: Some("~".into()), permissions: None };
        let person = cx.client()?.collaborator_create(&name, &create).await?;
        action.finish(cx.json, &person)
    }
}

/// Leaves an app
#[derive(Args)]
pub struct Leave {
    #[command(flatten)]
    app: AppFlags,
}

impl Leave {
    /// `apps:leave`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let action = Action::start(format!("Leaving {}", named(&name)));
        let person = cx.client()?.collaborator_delete(&name, "~").await?;
        action.finish(cx.json, &person)
    }
}
