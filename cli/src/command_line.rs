//! The command line as a whole: commands in groups, and the flags of all.

use clap::{Arg, ArgAction, Command};

/// Commands under one heading of the help.
pub struct Group {
    pub title: &'static str,
    pub commands: Vec<Command>,
}

/// The whole command line.
pub fn command(groups: &[Group]) -> Command {
    Command::new("wharf")
        .about("Runs your apps on your own machine")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .arg(json_flag())
        .subcommands(groups.iter().flat_map(|group| group.commands.clone()))
}

fn json_flag() -> Arg {
    Arg::new("json").short('j').long("json").help("Print JSON").global(true).action(ArgAction::SetTrue)
}
