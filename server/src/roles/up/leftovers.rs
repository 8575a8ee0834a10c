//! Processes left running by an earlier `wharfd up` that was killed.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::{
    config::Settings,
    lock::{self, Holder},
    machine::port,
    process::{self, Process},
};

/// A server that does not stop within this time is killed; its dynos keep running.
const SERVER: Duration = Duration::from_secs(10);
const ROUTER: Duration = Duration::from_secs(5);

/// Adopts the running router if it is of this version and listens on the right address, so that no
/// request is interrupted. Any other router is stopped. Stores the port in `settings`.
pub async fn take_up_router(settings: &mut Settings) -> Result<Option<Process>> {
    let Some((holder, mut process)) = running(&settings.run().join("router.lock"))? else {
        settings.listen = port::claim(settings.listen)?;
        return Ok(None);
    };
    let listens: Option<SocketAddr> = holder.note.parse().ok();
    let wanted = settings.listen;
    let fits = listens.filter(|l| l.ip() == wanted.ip() && (l.port() == wanted.port() || wanted.port() == 0));
    if let Some(listen) = fits.filter(|_| process::runs_our_file(holder.pid)) {
        tracing::info!("reusing the running router, process {}", holder.pid);
        settings.listen = listen;
        return Ok(Some(process));
    }
    tracing::info!("replacing the router of an earlier start, process {}", holder.pid);
    process.stop(Signal::SIGTERM, ROUTER, Signal::SIGKILL).await.context("stop the old router")?;
    settings.listen = port::claim(settings.listen)?;
    Ok(None)
}

/// Stops the server of an earlier start. Its dynos keep running.
pub async fn stop_server(run: &Path) -> Result<()> {
    let Some((holder, mut process)) = running(&run.join("server.lock"))? else { return Ok(()) };
    tracing::info!("replacing the server of an earlier start, process {}", holder.pid);
    process.stop(Signal::SIGUSR1, SERVER, Signal::SIGKILL).await.context("stop the old server")
}

fn running(lock: &Path) -> Result<Option<(Holder, Process)>> {
    let Some(holder) = lock::holder_of(lock)? else { return Ok(None) };
    // It may have ended since.
    Ok(Process::take_up(holder.pid).ok().map(|process| (holder, process)))
}
