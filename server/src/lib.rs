//! `wharfd`: the server and its roles.
//!
//! One executable with a subcommand per role. `up` runs everything on one machine, with the others
//! as separate processes, so that apps are not affected when
//! the control plane restarts.

mod config;
mod console;
mod data;
mod lock;
mod logging;
mod machine;
mod postgres;
mod privileges;
mod process;
mod roles;
mod socket;
mod supervise;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

pub use crate::console::Embedded;
use crate::{
    config::{Settings, UpSettings},
    roles::{Role, backup::BackupSettings, restore::RestoreSettings},
};

/// Wharf: a self-hosted platform to run your apps
#[derive(Parser)]
#[command(name = "wharfd", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole platform on this machine, and restart what crashes
    Up(UpSettings),
    /// Check this machine for problems
    Doctor(Settings),
    /// Back up the platform while it runs, and verify the backup
    Backup(BackupSettings),
    /// Restore a backup into an empty data directory
    Restore(RestoreSettings),
    /// Print a one-time sign-in link
    LoginLink(Settings),
    /// Print the version
    Version,
    /// Run the API, git and the console (started by `up`)
    Server(Settings),
    /// Proxy requests to dynos (started by `up`)
    Router(Settings),
    /// Process untrusted data in isolation (started by the server)
    #[command(hide = true)]
    Worker { name: OsString },
    /// Handle a git hook on a push (started by the server)
    #[command(hide = true)]
    GitHook { hook: OsString },
}

/// Runs the role given on the command line. `site` returns the files of the console's front end by name.
pub fn main(site: Embedded) -> ExitCode {
    console::embed(site);
    // Files created by any role are private to its user, from the first one on.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    // Workers fork into namespaces, which has to happen before any thread exists.
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == "worker") {
        worker::main(&builds::tasks());
    }
    match Cli::parse().command {
        Command::Up(settings) => roles::run(Role::Up, &settings.common.clone(), || Ok(roles::up::run(settings))),
        Command::Doctor(settings) => roles::doctor::run(&settings),
        Command::LoginLink(settings) => {
            roles::run(Role::LoginLink, &settings.clone(), || Ok(roles::login_link::run(settings)))
        }
        Command::Backup(settings) => {
            roles::run(Role::Backup, &settings.common.clone(), || Ok(roles::backup::run(settings)))
        }
        Command::Restore(settings) => {
            roles::run(Role::Restore, &settings.common.clone(), || Ok(roles::restore::run(settings)))
        }
        Command::Version => {
            println!("wharfd {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Command::Server(settings) => roles::run(Role::Server, &settings.clone(), || Ok(roles::server::run(settings))),
        Command::Router(settings) => roles::run(Role::Router, &settings.clone(), || roles::router::begin(settings)),
        Command::Worker { .. } => worker::main(&builds::tasks()),
        Command::GitHook { hook } => match repositories::hook::main(&[hook]) {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
    }
}
