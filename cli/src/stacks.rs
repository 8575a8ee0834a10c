//! `stacks`: the base systems that apps are built and run on.

use anyhow::Result;
use api::apps::AppUpdate;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, GREEN, app as named, heading, note, paint},
};

/// Lists the stacks and marks the app's
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
}

impl List {
    /// `stacks`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        let stacks = client.stack_list().await?;
        if cx.json {
            return output::json(&stacks);
        }
        let app = match self.app.app_if_any(cx)? {
            Some(name) => Some(client.app_info(&name).await?),
            None => None,
        };
        match &app {
            Some(app) => heading(format!("{} Available Stacks", named(&app.name))),
            None => heading("Available Stacks"),
        }
        for stack in &stacks {
            let is_current = app.as_ref().map_or(stack.default, |app| app.build_stack.name == stack.name);
            if is_current {
                out!("{}", paint(GREEN, format!("* {}", stack.name)));
            } else {
                out!("  {}", stack.name);
            }
        }
        Ok(())
    }
}

/// Sets the stack for the next build
#[derive(Args)]
pub struct Set {
    /// Name of the stack: see wharf stacks
    stack: String,
    #[command(flatten)]
    app: AppFlags,
}

impl Set {
    /// `stacks:set`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let action = Action::start(format!("Setting stack to {}", self.stack));
        let update = AppUpdate { build_stack: Some(self.stack), ..Default::default() };
        let app = cx.client()?.app_update(&name, &update).await?;
        action.done();
        if cx.json {
            return output::json(&app);
        }
        note(format!("You will need to redeploy {} for the change to take effect.", named(&name)));
        Ok(())
    }
}
