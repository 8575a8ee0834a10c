//! `drains`: forwarding the log of an app.

use anyhow::Result;
use api::log_drains::LogDrainCreate;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, app as named, heading},
};

/// Lists the drains of an app
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
}

impl List {
    /// `drains`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let drains = cx.client()?.log_drain_list(&name).await?;
        if cx.json {
            return output::json(&drains);
        }
        if drains.is_empty() {
            out!("{} has no drains.", named(&name));
            return Ok(());
        }
        heading("Drains");
        for drain in &drains {
            out!("{} ({})", drain.url, drain.token);
        }
        Ok(())
    }
}

/// Adds a drain: forwards the log of an app to a URL
#[derive(Args)]
pub struct Add {
    /// syslog://, syslog+tls:// or https:// URL
    url: String,
    #[command(flatten)]
    app: AppFlags,
}

impl Add {
    /// `drains:add`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let create = LogDrainCreate { url: self.url };
        let drain = cx.client()?.log_drain_create(&self.app.app(cx)?, &create).await?;
        if cx.json {
            return output::json(&drain);
        }
        out!("Successfully added drain {}", drain.url);
        Ok(())
    }
}

/// Removes a drain from an app
#[derive(Args)]
pub struct Remove {
    /// URL, token or id of the drain
    drain: String,
    #[command(flatten)]
    app: AppFlags,
}

impl Remove {
    /// `drains:remove`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let drain = cx.client()?.log_drain_delete(&self.app.app(cx)?, &self.drain).await?;
        if cx.json {
            return output::json(&drain);
        }
        out!("Successfully removed drain {}", drain.url);
        Ok(())
    }
}
