//! `wharfd server`: the API, git, the console, and the work behind them.
//!
//! It listens on a socket in RUN that only root and the router can open, so that what the router reports
//! about a client (address, scheme) can be trusted.

mod listener;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use areas::Areas;
use dyno::disks;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::timeout,
};

use self::listener::Listener;
use crate::{config::Settings, console, data, lock, machine, socket};

/// Dynos have 30 seconds to stop.
const STOP: Duration = Duration::from_secs(42);
/// Another server may have changed a queue or an app without notifying this one.
const QUEUE_INTERVAL: Duration = Duration::from_secs(15);
/// Time for requests in flight after the platform has stopped.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs the server until a signal. SIGTERM and SIGINT stop the dynos too; after SIGUSR1 and
/// SIGHUP they keep running, and the next server adopts them.
pub async fn run(mut settings: Settings) -> Result<()> {
    machine::must_be_root()?;
    data::prepare(&mut settings)?;
    let run = settings.run();
    router::raise_file_limit();
    let _lock = match lock::take(&run.join("server.lock"), "")? {
        Ok(lock) => lock,
        Err(holder) => bail!("A server is already running for {}: process {}.", settings.data.display(), holder.pid),
    };
    let mut signals = Signals::new()?;
    let areas = Areas::start(config(&settings)?).await?;
    let service = console::service(areas.router(), &settings.domain, identity::CookieGuard::new(areas.platform()));
    let listener = Listener::bind(&run.join(socket::SERVER))?;
    tracing::info!("the server is ready");

    let (stop, mut stopped) = watch::channel(false);
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let mut serving = tokio::spawn(serving.into_future());
    let stop_dynos = tokio::select! {
        stop_dynos = signals.next() => stop_dynos,
        ended = &mut serving => {
            ended.context("serve")?.context("serve")?;
            bail!("The server stopped serving.");
        }
    };
    tracing::info!("stopping; {}", if stop_dynos { "dynos stop too" } else { "dynos keep running" });
    stop.send_replace(true);
    if timeout(STOP, areas.stop(stop_dynos)).await.is_err() {
        tracing::warn!("the platform did not stop in time; the next start adopts what is still running");
    }
    // Open streams do not end by themselves.
    let _ = timeout(DRAIN, serving).await;
    Ok(())
}

fn config(settings: &Settings) -> Result<builds::Config> {
    let Some(database_url) = settings.database_url.clone() else {
        bail!("WHARF_DATABASE_URL is not set. wharfd up sets it, and runs a database of its own.");
    };
    let platform = platform::Config {
        settings: of_areas(settings, database_url),
        run: settings.run(),
        queue_interval: QUEUE_INTERVAL,
        host: settings.host(),
        dyno_disk: disks::Size::of(settings.dyno_disk_mb << 20),
        rendezvous: settings.rendezvous(),
    };
    Ok(builds::Config {
        platform,
        build_concurrency: settings.build_concurrency,
        downloads: worker::DOWNLOADS,
        git: builds::GitLimits {
            push_bytes: settings.git_push_mb << 20,
            checkout_bytes: settings.git_checkout_mb << 20,
            repository_bytes: settings.git_repository_mb << 20,
            memory_bytes: settings.git_memory_mb << 20,
            time: Duration::from_secs(settings.git_minutes * 60),
        },
        build_disk: disks::Size::of(settings.build_disk_mb << 20),
        npm_registry: settings.npm_registry.clone(),
    })
}

/// The settings that every area needs.
pub fn of_areas(settings: &Settings, database_url: String) -> base::settings::Settings {
    base::settings::Settings {
        data: settings.data.clone(),
        audit_anchor: settings.audit_anchor(),
        listen: settings.listen,
        domain: settings.domain.clone(),
        apps_domain: settings.apps_domain().to_owned(),
        tls: settings.tls,
        database_url,
        master_key: settings.master_key.clone(),
        outbound_networks: settings.outbound_networks.clone(),
    }
}

struct Signals {
    term: Signal,
    int: Signal,
    usr1: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        let on = |kind| signal(kind).context("listen for signals");
        Ok(Signals {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            usr1: on(SignalKind::user_defined1())?,
            hup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal. Returns whether the dynos stop too.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.term.recv() => true,
            _ = self.int.recv() => true,
            _ = self.usr1.recv() => false,
            _ = self.hup.recv() => false,
        }
    }
}
