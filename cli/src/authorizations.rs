//! `authorizations`: API tokens.

use anyhow::Result;
use api::authorizations::{Authorization, AuthorizationCreate};
use chrono::Utc;
use clap::Args;

use crate::{
    context::Context,
    output::{self, Action, Cell, DIM, Table, ago, note, span},
};

/// Lists your tokens
#[derive(Args)]
pub struct List {}

impl List {
    /// `authorizations`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let tokens = cx.client()?.authorization_list().await?;
        if cx.json {
            return output::json(&tokens);
        }
        let mut table = Table::new(&["Description", "Id", "Scope", "Last used", "Expires"]);
        for token in &tokens {
            let used = token.last_used_at.map_or("never".into(), |at| ago(at, Utc::now()));
            table.row([
                (&token.description).into(),
                token.id.into(),
                token.scope.join(", ").into(),
                used.into(),
                Cell::new(expiry(token), DIM),
            ]);
        }
        table.print();
        Ok(())
    }
}

fn expiry(authorization: &Authorization) -> String {
    match authorization.access_token.as_ref().and_then(|token| token.expires_in) {
        Some(seconds) => format!("in {}", span(seconds.unsigned_abs())),
        None => "never".into(),
    }
}

/// Creates a token, which is shown only once
#[derive(Args)]
pub struct Create {
    /// Description
    #[arg(short, long)]
    description: Option<String>,
    /// Scopes: global, identity, read, write, read-protected, write-protected
    #[arg(short, long, value_delimiter = ',')]
    scope: Option<Vec<String>>,
    /// Lifetime in seconds
    #[arg(short, long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// Print only the token
    #[arg(short = 'S', long)]
    short: bool,
}

impl Create {
    /// `authorizations:create`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let create = AuthorizationCreate {
            description: self.description,
            scope: self.scope,
            expires_in: self.expires_in.map(Into::into),
        };
        let action = Action::start("Creating token");
        let made = cx.client()?.authorization_create(&create).await?;
        action.done();
        if cx.json {
            return output::json(&made);
        }
        let token = made.access_token.as_ref().map(|t| t.token.clone()).unwrap_or_default();
        if self.short {
            out!("{token}");
            return Ok(());
        }
        output::pairs(&[
            ("Id", made.id.to_string()),
            ("Description", made.description.clone()),
            ("Scope", made.scope.join(", ")),
            ("Token", token),
            ("Expires", expiry(&made)),
        ]);
        note("Save the token now: it is not shown again.");
        Ok(())
    }
}

/// Revokes a token immediately
#[derive(Args)]
pub struct Revoke {
    id: String,
}

impl Revoke {
    /// `authorizations:revoke`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start("Revoking token");
        let gone = cx.client()?.authorization_delete(&self.id).await?;
        action.done_with(format!("revoked {:?}", gone.description));
        if cx.json { output::json(&gone) } else { Ok(()) }
    }
}
