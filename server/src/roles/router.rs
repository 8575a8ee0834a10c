//! `wharfd router`: proxies requests to dynos, whether or not the server is running.
//!
//! It faces the internet, so it holds no secrets: it opens its ports and
//! files as root, then drops to another user. It gets neither the key nor the database URL.

pub mod files;

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, bail};
use dyno::uids;
use router::{Router, Sockets};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::Settings,
    data,
    lock::{self, Lock},
    machine, privileges,
};

/// Opens what needs root, drops the privileges, and returns a future that runs the router until SIGTERM or
/// SIGINT.
pub fn begin(mut settings: Settings) -> Result<impl Future<Output = Result<()>>> {
    machine::must_be_root()?;
    data::prepare_without_secrets(&mut settings)?;
    let lock = match lock::take(&settings.run().join("router.lock"), &settings.listen.to_string())? {
        Ok(lock) => lock,
        Err(holder) => bail!("A router is already running for {}: process {}.", settings.data.display(), holder.pid),
    };
    let config = config(&settings);
    files::prepare(&settings.data, uids::ROUTER)?;
    let sockets = Sockets::bind(&config)?;
    let folders = [router::spool_dir(&settings.data), router::table_dir(&settings.data)];
    privileges::give_up(uids::ROUTER, &[&folders[0], &folders[1]]).context("drop root privileges")?;
    Ok(serve(config, sockets, lock))
}

async fn serve(config: router::Config, sockets: Sockets, _lock: Lock) -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("listen for signals")?;
    let mut int = signal(SignalKind::interrupt()).context("listen for signals")?;
    let stopped = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    Router::new(config, sockets)?.run(stopped).await
}

fn config(settings: &Settings) -> router::Config {
    let mut config = router::Config::new(settings.listen, &settings.data, settings.run());
    config.tls = settings.tls;
    config.trusted = settings.proxies_without_dynos();
    config.proxy_protocol = settings.proxy_protocol;
    config.hsts = Duration::from_secs(settings.hsts_max_age);
    config.limits.per_address = settings.connections_per_address;
    config
}
