//! `service-accounts`: programs that are members of a team, and their tokens.

use anyhow::Result;
use api::service_accounts::ServiceAccountCreate;
use chrono::Utc;
use clap::Args;

use crate::{
    authorizations::{NewToken, found, show_all},
    context::Context,
    output::{self, Action, Cell, DIM, Table, ago},
    teams::TeamFlag,
};

/// Lists the service accounts of a team
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    team: TeamFlag,
}

impl List {
    /// `service-accounts`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let team = self.team.team;
        let accounts = cx.client()?.service_account_list(&team).await?;
        if cx.json {
            return output::json(&accounts);
        }
        if accounts.is_empty() {
            out!("{team} has no service accounts. Create one: wharf service-accounts:create NAME --team {team}");
            return Ok(());
        }
        let mut table = Table::new(&["Name", "Role", "Created"]);
        for account in &accounts {
            table.row([
                (&account.name).into(),
                account.role.as_str().into(),
                Cell::new(ago(account.created_at, Utc::now()), DIM),
            ]);
        }
        table.print();
        Ok(())
    }
}

/// Creates a service account: a program with tokens of its own, which cannot sign in
#[derive(Args)]
pub struct Create {
    /// 1 to 30 lower-case letters, digits and dashes
    name: String,
    #[command(flatten)]
    team: TeamFlag,
    /// Role in the team: member or viewer [default: member]
    #[arg(long)]
    role: Option<String>,
}

impl Create {
    /// `service-accounts:create`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let (name, team) = (self.name, self.team.team);
        let action = Action::start(format!("Creating the service account {name} in {team}"));
        let create = ServiceAccountCreate { name: name.clone(), role: self.role };
        let made = cx.client()?.service_account_create(&team, &create).await?;
        action.done();
        output::note(format!("To create a token for it: wharf service-accounts:tokens:create {name} --team {team}"));
        if cx.json { output::json(&made) } else { Ok(()) }
    }
}

/// Deletes a service account and its tokens
#[derive(Args)]
pub struct Destroy {
    /// Name of the service account
    name: String,
    #[command(flatten)]
    team: TeamFlag,
}

impl Destroy {
    /// `service-accounts:destroy`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start(format!("Deleting the service account {} of {}", self.name, self.team.team));
        let gone = cx.client()?.service_account_delete(&self.team.team, &self.name).await?;
        action.finish(cx.json, &gone)
    }
}

/// Lists the tokens of a service account
#[derive(Args)]
pub struct Tokens {
    /// Name of the service account
    name: String,
    #[command(flatten)]
    team: TeamFlag,
}

impl Tokens {
    /// `service-accounts:tokens`
    pub async fn run(self, cx: &Context) -> Result<()> {
        show_all(cx, &cx.client()?.service_account_authorization_list(&self.team.team, &self.name).await?)
    }
}

/// Creates a token for a service account, which is shown only once
#[derive(Args)]
pub struct TokenCreate {
    /// Name of the service account
    name: String,
    #[command(flatten)]
    team: TeamFlag,
    #[command(flatten)]
    new: NewToken,
}

impl TokenCreate {
    /// `service-accounts:tokens:create`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start(format!("Creating a token for {}", self.name));
        let client = cx.client()?;
        let made = client.service_account_authorization_create(&self.team.team, &self.name, &self.new.create()).await?;
        action.done();
        self.new.show(cx, &made)
    }
}

/// Revokes a token of a service account immediately
#[derive(Args)]
pub struct TokenRevoke {
    /// Name of the service account
    name: String,
    /// Id or description of the token
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    team: TeamFlag,
}

impl TokenRevoke {
    /// `service-accounts:tokens:revoke`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let (client, team, name) = (cx.client()?, &self.team.team, &self.name);
        let id = found(&client.service_account_authorization_list(team, name).await?, &self.token)?;
        let action = Action::start(format!("Revoking a token of {name}"));
        let gone = client.service_account_authorization_delete(team, name, &id).await?;
        action.done_with(format!("revoked {:?}", gone.description));
        if cx.json { output::json(&gone) } else { Ok(()) }
    }
}
