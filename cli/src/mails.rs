//! `mail-server`: the server that sends e-mail about invitations; for administrators.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, bail};
use api::mails::{MailServer, MailServerUpdate, MailTest};
use clap::Args;

use crate::{
    context::Context,
    output::{self, Action},
};

/// Shows the mail server
#[derive(Args)]
pub struct Info {}

impl Info {
    /// `mail-server`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let server = cx.client()?.mail_server_info().await?;
        if cx.json {
            return output::json(&server);
        }
        show(&server);
        Ok(())
    }
}

fn show(server: &MailServer) {
    if !server.configured {
        out!("There is no mail server: no e-mail is sent.");
        out!("To set one: wharf mail-server:set --host smtp.example.com --sender wharf@example.com");
        return;
    }
    let user = match (&server.user, server.has_password) {
        (Some(user), true) => format!("{user}, with a password"),
        (Some(user), false) => user.clone(),
        (None, _) => "none".to_owned(),
    };
    output::pairs(&[
        ("Server", format!("{}:{}", server.host, server.port)),
        ("TLS", server.tls.to_string()),
        ("User", user),
        ("Sender", server.sender.clone()),
    ]);
}

/// Sets the mail server, or some of its settings
#[derive(Args)]
pub struct Set {
    /// Name or address of the SMTP server
    #[arg(long)]
    host: Option<String>,
    /// Port [default: 587, or 465 with tls, or 25 with none]
    #[arg(long)]
    port: Option<u16>,
    /// Encryption: starttls, tls or none [default: starttls]
    #[arg(long)]
    tls: Option<String>,
    /// User; empty: none
    #[arg(long)]
    user: Option<String>,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Address that messages are sent from
    #[arg(long)]
    sender: Option<String>,
}

impl Set {
    /// `mail-server:set`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let password = if self.password_stdin { Some(password()?) } else { None };
        let Self { host, port, tls, user, sender, .. } = self;
        let update = MailServerUpdate { host, port, tls, user, password, sender };
        let action = Action::start("Setting the mail server");
        let server = cx.client()?.mail_server_update(&update).await?;
        action.done_with(format!("{}:{}", server.host, server.port));
        output::note("To send a test message: wharf mail-server:test ADDRESS");
        if cx.json { output::json(&server) } else { Ok(()) }
    }
}

/// The first line of stdin. On a terminal it would be shown while it is typed.
fn password() -> Result<String> {
    if std::io::stdin().is_terminal() {
        bail!(
            "Pass the password on stdin, so that it does not appear on the screen: wharf mail-server:set … --password-stdin < FILE"
        );
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("read stdin")?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Sends a test message, and prints the answer of the mail server
#[derive(Args)]
pub struct Test {
    /// Recipient [default: you]
    to: Option<String>,
}

impl Test {
    /// `mail-server:test`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let tested = cx.client()?.mail_server_test(&MailTest { to: self.to }).await?;
        if cx.json {
            output::json(&tested)?;
        } else {
            out!("{}", tested.answer);
        }
        match tested.ok {
            true => Ok(()),
            false => bail!("The test message to {} was not sent.", tested.to),
        }
    }
}

/// Removes the mail server: no e-mail is sent any more
#[derive(Args)]
pub struct Remove {}

impl Remove {
    /// `mail-server:remove`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start("Removing the mail server");
        let server = cx.client()?.mail_server_delete().await?;
        action.finish(cx.json, &server)
    }
}
