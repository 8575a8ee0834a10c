//! `wharfd router`: carries requests to dynos, whether or not the server runs.
//!
//! Strangers speak to it first, so it keeps nothing that is worth having: it opens its ports and its
//! files as root, and is another user from then on. It is told neither the key nor the database.

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

/// Opens what takes rights to open, gives them up, and returns what runs the router until SIGTERM or
/// SIGINT.
pub fn begin(mut settings: Settings) -> Result<impl Future<Output = Result<()>>> {
    machine::must_be_root()?;
    data::furnish(&mut settings)?;
    let lock = match lock::take(&settings.run().join("router.lock"), &settings.listen.to_string())? {
        Ok(lock) => lock,
        Err(holder) => bail!("A router runs already for {}: process {}.", settings.data.display(), holder.pid),
    };
    let config = config(&settings);
    files::prepare(&settings.data, uids::ROUTER)?;
    let sockets = Sockets::bind(&config)?;
    let folders = [router::spool_dir(&settings.data), router::table_dir(&settings.data)];
    privileges::give_up(uids::ROUTER, &[&folders[0], &folders[1]]).context("give up the rights of root")?;
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
    config.trusted = settings.who_says_who_asks();
    config.proxy_protocol = settings.proxy_protocol;
    config.hsts = Duration::from_secs(settings.hsts_max_age);
    config.limits.per_address = settings.connections_per_address;
    config
}
