//! The roles of `wharfd`.

pub mod backup;
pub mod doctor;
pub mod login_link;
pub mod restore;
pub mod router;
pub mod server;
pub mod up;

use std::{future::Future, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

use crate::{config::Settings, logging};

/// The role of a process. Its name prefixes its log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Up,
    Server,
    Router,
    LoginLink,
    Backup,
    Restore,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Up => "up",
            Role::Server => "server",
            Role::Router => "router",
            Role::LoginLink => "login-link",
            Role::Backup => "backup",
            Role::Restore => "restore",
        }
    }

    fn runtime(self) -> Result<Runtime> {
        let mut builder = match self {
            Role::Up | Role::LoginLink => Builder::new_current_thread(),
            Role::Server | Role::Router | Role::Backup | Role::Restore => Builder::new_multi_thread(),
        };
        builder.enable_all().build().context("start the runtime")
    }
}

/// Runs a role to completion: first `begin`, while there is one thread, then the future it returns.
/// Errors are printed to standard error.
pub fn run<W>(role: Role, settings: &Settings, begin: impl FnOnce() -> Result<W>) -> ExitCode
where
    W: Future<Output = Result<()>>,
{
    if matches!(role, Role::Up | Role::Server | Role::Router) {
        dyno::Worth::Platform.claim();
    }
    let outcome = logging::start(role.name(), settings).and_then(|()| {
        let work = begin()?;
        let runtime = role.runtime()?;
        let outcome = runtime.block_on(work);
        // A blocked thread must not keep the process alive.
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("wharfd {}: {err:#}", role.name());
            ExitCode::FAILURE
        }
    }
}
