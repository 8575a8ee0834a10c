//! `help` and `version`.

use anyhow::{Result, bail};
use api::unavailable::instead_of;
use clap::{Args, Command};

use crate::{
    command_line::{Group, command},
    context::Context,
    output::{self, BOLD, CYAN, Table, paint},
};

/// Shows all commands, or the help of one
#[derive(Args)]
pub struct Help {
    /// A command or a topic
    command: Option<String>,
}

impl Help {
    /// `help`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let Some(wanted) = self.command else {
            overview(&cx.groups);
            return Ok(());
        };
        let topic = format!("{wanted}:");
        let mut whole = command(&cx.groups);
        whole.build();
        let found = whole.find_subcommand_mut(&wanted).map(|command| command.render_long_help().ansi().to_string());
        let below: Vec<Command> =
            whole.get_subcommands().filter(|c| c.get_name().starts_with(&topic)).cloned().collect();
        if found.is_none() && below.is_empty() {
            if let Some(instead) = instead_of(&wanted) {
                bail!("Wharf has no {wanted}. {instead}");
            }
            bail!("{wanted} is not a command. See all with: wharf help");
        }
        if let Some(text) = found {
            output::write(&if output::is_coloured() { text } else { without_colours(&text) });
        }
        if !below.is_empty() {
            out!("\n{}", paint(BOLD, "Commands:"));
            list(&below);
        }
        Ok(())
    }
}

/// Prints every command with its description, in groups.
pub fn overview(groups: &[Group]) {
    out!("Runs your apps on your own machine.\n\n{} wharf COMMAND [--app APP] [--json]", paint(BOLD, "Usage:"));
    for group in groups {
        out!("\n{}", paint(BOLD, group.title));
        list(&group.commands);
    }
    out!("\nHelp for a command: wharf help COMMAND");
}

fn list(commands: &[Command]) {
    let mut table = Table::new(&[]);
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = format!("  {}", command.get_name());
        table.row([output::Cell::new(name, CYAN), about.into()]);
    }
    table.print();
}

fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    for (i, part) in text.split('\x1b').enumerate() {
        let rest = if i == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) };
        plain.push_str(rest);
    }
    plain
}

/// Shows the version of the CLI
#[derive(Args)]
pub struct Version {}

impl Version {
    /// `version`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        if cx.json {
            return output::json(&serde_json::json!({ "version": version }));
        }
        out!("wharf/{version} {}-{}", std::env::consts::OS, std::env::consts::ARCH);
        Ok(())
    }
}
