//! `wharfd router`: carries requests to dynos, whether or not the server runs.

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::{config::Settings, data, lock, machine};

/// Runs the router until SIGTERM or SIGINT.
pub async fn run(mut settings: Settings) -> Result<()> {
    machine::must_be_root()?;
    data::prepare(&mut settings)?;
    let _lock = match lock::take(&settings.run().join("router.lock"), &settings.listen.to_string())? {
        Ok(lock) => lock,
        Err(holder) => bail!("A router runs already for {}: process {}.", settings.data.display(), holder.pid),
    };
    let mut term = signal(SignalKind::terminate()).context("listen for signals")?;
    let mut int = signal(SignalKind::interrupt()).context("listen for signals")?;
    let mut config = router::Config::new(settings.listen, &settings.data, settings.run());
    config.tls = settings.tls;
    let stopped = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    router::serve(config, stopped).await
}
