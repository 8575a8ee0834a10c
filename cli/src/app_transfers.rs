//! `apps:transfer`: transferring apps, and pending transfers.

use anyhow::Result;
use api::{
    app_transfers::{AppTransfer, AppTransferCreate, AppTransferUpdate, TransferState},
    teams::TeamAppUpdate,
};
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    next_steps,
    output::{self, Action, Table, app as named},
};

/// Transfers an app to a team, or offers it to a user
#[derive(Args)]
pub struct Transfer {
    /// Name of a team, or email address of a user
    recipient: String,
    #[command(flatten)]
    app: AppFlags,
    /// Lock the app in its new team
    #[arg(short, long)]
    locked: bool,
}

impl Transfer {
    /// `apps:transfer`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let (client, name) = (cx.client()?, self.app.app(cx)?);
        let app = client.app_info(&name).await?;
        let action = Action::start(format!("Transferring {} to {}", named(&name), self.recipient));
        // The recipient has to accept the app, unless the recipient is the caller.
        let is_person = self.recipient.contains('@');
        let takes =
            is_person && app.team.is_some() && client.account_info().await?.email.eq_ignore_ascii_case(&self.recipient);
        if is_person && !takes {
            let create = AppTransferCreate { app: Some(name), recipient: Some(self.recipient) };
            let transfer = client.app_transfer_create(&create).await?;
            action.done_with(format!("{} has to accept", transfer.recipient.email));
            next_steps::print(client.app_transfer_next_step(&transfer.id.to_string())).await;
            return if cx.json { output::json(&transfer) } else { Ok(()) };
        }
        let update = TeamAppUpdate { locked: None, owner: Some(self.recipient) };
        let mut app = client.team_app_update(&name, &update).await?;
        if self.locked {
            app = client.team_app_update(&name, &TeamAppUpdate { locked: Some(true), owner: None }).await?;
        }
        action.finish(cx.json, &app)
    }
}

/// Lists pending transfers to and from you
#[derive(Args)]
pub struct List {}

impl List {
    /// `apps:transfers`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let all: Vec<AppTransfer> = cx.client()?.app_transfer_list().await?;
        if cx.json {
            return output::json(&all);
        }
        let mut table = Table::new(&["App", "From", "To", "State"]);
        for transfer in &all {
            table.row([
                (&transfer.app.name).into(),
                (&transfer.owner.email).into(),
                (&transfer.recipient.email).into(),
                transfer.state.as_str().into(),
            ]);
        }
        table.print();
        Ok(())
    }
}

/// Accepts the transfer of an app
#[derive(Args)]
pub struct Accept {
    /// The app
    app: String,
}

impl Accept {
    /// `apps:transfers:accept`
    pub async fn run(self, cx: &Context) -> Result<()> {
        respond(cx, &self.app, "Accepting", TransferState::Accepted).await
    }
}

/// Declines the transfer of an app
#[derive(Args)]
pub struct Decline {
    /// The app
    app: String,
}

impl Decline {
    /// `apps:transfers:decline`
    pub async fn run(self, cx: &Context) -> Result<()> {
        respond(cx, &self.app, "Declining", TransferState::Declined).await
    }
}

async fn respond(cx: &Context, app: &str, verb: &str, state: TransferState) -> Result<()> {
    let action = Action::start(format!("{verb} {}", named(app)));
    let transfer = cx.client()?.app_transfer_update(app, &AppTransferUpdate { state: state.to_string() }).await?;
    action.finish(cx.json, &transfer)
}
