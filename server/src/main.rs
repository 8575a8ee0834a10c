//! `wharfd`: the server and its roles.
//!
//! One executable, a role by subcommand. `up` runs everything on one machine; the others
//! are what it runs, each a process of its own, so that customers' apps do not notice when
//! the control plane is started again.

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

use crate::{
    config::{Settings, UpSettings},
    roles::Role,
};

/// Pages are drawn from many small pieces: a third of the time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wharf: push code, and it runs
#[derive(Parser)]
#[command(name = "wharfd", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole platform on this machine, and start again what dies
    Up(UpSettings),
    /// Say what is good and what is missing on this machine
    Doctor(Settings),
    /// Print a link that signs a browser in, once
    LoginLink(Settings),
    /// Print the version
    Version,
    /// The API, git and the console (started by `up`)
    Server(Settings),
    /// What carries requests to dynos (started by `up`)
    Router(Settings),
    /// What one dyno runs under (started by the server)
    #[command(hide = true)]
    Dyno { state: OsString },
    /// What touches untrusted bytes, for one thing each (started by the server)
    #[command(hide = true)]
    Worker { name: OsString },
    /// What git runs on a push (started by the server)
    #[command(hide = true)]
    GitHook { hook: OsString },
}

fn main() -> ExitCode {
    // Whatever any role makes is for its own user alone, from the first file on.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    // Shims and workers fork into namespaces: that has to happen before any thread exists.
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == "dyno") {
        dyno::shim_main(&args[2..]);
    }
    if args.get(1).is_some_and(|role| role == "worker") {
        worker::main(&platform::errands());
    }
    match Cli::parse().command {
        Command::Up(settings) => roles::run(Role::Up, &settings.common.clone(), || Ok(roles::up::run(settings))),
        Command::Doctor(settings) => roles::doctor::run(&settings),
        Command::LoginLink(settings) => {
            roles::run(Role::LoginLink, &settings.clone(), || Ok(roles::login_link::run(settings)))
        }
        Command::Version => {
            println!("wharfd {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Command::Server(settings) => roles::run(Role::Server, &settings.clone(), || Ok(roles::server::run(settings))),
        Command::Router(settings) => roles::run(Role::Router, &settings.clone(), || roles::router::begin(settings)),
        Command::Dyno { state } => dyno::shim_main(&[state]),
        Command::Worker { .. } => worker::main(&platform::errands()),
        Command::GitHook { hook } => match platform::git::hook::main(&[hook]) {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
    }
}
