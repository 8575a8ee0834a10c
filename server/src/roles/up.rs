//! `wharfd up`: the whole platform on one machine.
//!
//! ```text
//! up ──┬── postgres    each in its own session: when `up` is killed they keep running,
//!      ├── server      and the next `up` adopts the router and Postgres
//!      └── router      and replaces the server, without stopping dynos
//! ```

mod banner;
mod leftovers;
mod signals;

use std::{
    os::unix::process::CommandExt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use tokio::{
    net::TcpStream,
    process::Command,
    sync::mpsc,
    time::{Instant, sleep},
};

use self::signals::Signals;
use crate::{
    config::{Settings, UpSettings},
    data, lock, machine,
    postgres::Postgres,
    process::Process,
    socket,
    supervise::{Health, Stop, Supervised},
};

/// Dynos have 30 seconds to stop, and their last output has to be read.
const SERVER_GRACE: Duration = Duration::from_secs(45);
/// Time for requests in flight when the platform stops.
const ROUTER_GRACE: Duration = Duration::from_secs(5);

/// Starts everything and keeps it running until a signal.
pub async fn run(settings: UpSettings) -> Result<()> {
    let UpSettings { mut common, keep_dynos } = settings;
    let mut signals = Signals::new()?;
    machine::must_be_root()?;
    if let Some(why) = machine::missing_programs(&machine::PROGRAMS) {
        bail!(why);
    }
    data::prepare(&mut common)?;
    let run = common.run();
    let _lock = match lock::take(&run.join("up.lock"), &common.listen.to_string())? {
        Ok(lock) => lock,
        Err(holder) => bail!(
            "Wharf is already running on {}: process {}, at {}. Stop it first (kill {1}), or choose another directory with --data.",
            common.data.display(),
            holder.pid,
            holder.note
        ),
    };
    let router = leftovers::take_up_router(&mut common).await?;
    leftovers::stop_server(&run).await?;

    let mut up = Up::start(common, router).await?;
    let outcome = up.serve(&mut signals).await;
    up.stop(keep_dynos, &mut signals).await;
    outcome
}

/// The running processes.
struct Up {
    settings: Settings,
    health: Health,
    gave_up: mpsc::Receiver<String>,
    postgres: Option<Supervised>,
    server: Supervised,
    router: Supervised,
}

impl Up {
    async fn start(mut settings: Settings, router: Option<Process>) -> Result<Up> {
        let (sender, gave_up) = mpsc::channel(3);
        let health = Health { was_up: Arc::default(), gave_up: sender };
        let postgres = match &settings.database_url {
            Some(_) => None,
            None => {
                let postgres = Arc::new(Postgres::prepare(&settings.data, &settings.run())?);
                settings.database_url = Some(postgres.url());
                let process = postgres.run().await?;
                let start = move || {
                    let postgres = postgres.clone();
                    async move { postgres.run().await }
                };
                Some(Supervised::new("Postgres", process, start, health.clone()))
            }
        };
        let server = spawn("server", &settings)?;
        let router = match router {
            Some(process) => process,
            None => spawn("router", &settings)?,
        };
        let restart = |role: &'static str| {
            let settings = settings.clone();
            move || std::future::ready(spawn(role, &settings))
        };
        Ok(Up {
            server: Supervised::new("server", server, restart("server"), health.clone()),
            router: Supervised::new("router", router, restart("router"), health.clone()),
            settings,
            health,
            gave_up,
            postgres,
        })
    }

    /// Prints the banner once the platform is ready, and waits for a signal.
    async fn serve(&mut self, signals: &mut Signals) -> Result<()> {
        let link = tokio::select! {
            link = wait_for_link(&self.settings) => link,
            Some(why) = self.gave_up.recv() => return Err(anyhow!(why)),
            () = signals.next() => return Ok(()),
        };
        self.health.was_up.store(true, Relaxed);
        banner::print(&self.settings, &link);
        signals.next().await;
        Ok(())
    }

    async fn stop(self, keep_dynos: bool, signals: &mut Signals) {
        let message = if keep_dynos {
            "stopping; dynos keep running"
        } else {
            "stopping, including all dynos; press Ctrl-C again to force"
        };
        tracing::info!("{message}");
        // SIGUSR1 tells the server to keep the dynos running.
        let signal = if keep_dynos { Signal::SIGUSR1 } else { Signal::SIGTERM };
        let server = Stop { signal, grace: SERVER_GRACE, last: Signal::SIGKILL };
        self.server.stop(server, signals.next()).await;
        let router = Stop { signal: Signal::SIGTERM, grace: ROUTER_GRACE, last: Signal::SIGKILL };
        self.router.stop(router, signals.next()).await;
        if let Some(postgres) = self.postgres {
            // A fast shutdown: it aborts running statements. SIGQUIT needs a recovery at the next start.
            let stop = Stop { signal: Signal::SIGINT, grace: Duration::from_secs(60), last: Signal::SIGQUIT };
            postgres.stop(stop, signals.next()).await;
        }
        tracing::info!("stopped");
    }
}

/// Environment variables that the server passes on to builds: certificate authorities and proxies.
const FOR_BUILDS: [&str; 16] = [
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];
/// Environment variables for every role.
const FOR_ALL: [&str; 4] = ["LANG", "LC_ALL", "TZ", "RUST_BACKTRACE"];

/// Starts a role as a separate process from the running executable. It gets only the settings that it
/// needs, and nothing else of our environment.
fn spawn(role: &'static str, settings: &Settings) -> Result<Process> {
    let mut command = std::process::Command::new("/proc/self/exe");
    let (own, inherited): (_, &[&str]) = match role {
        "router" => (settings.router_env(), &[]),
        _ => (settings.to_env(), &FOR_BUILDS),
    };
    let of_ours = inherited.iter().chain(&FOR_ALL).filter_map(|name| Some((*name, std::env::var_os(name)?)));
    command.arg0("wharfd").arg(role);
    command.env_clear().envs(of_ours).envs(own).env("PATH", machine::search_path());
    command.current_dir("/").stdin(std::process::Stdio::null());
    Process::spawn(Command::from(command)).with_context(|| format!("start the {role}"))
}

/// Waits until the server and the router are ready.
async fn wait_for_link(settings: &Settings) -> String {
    let begun = Instant::now();
    let mut reported = 0;
    loop {
        let router = TcpStream::connect(settings.listen).await;
        let why = match (socket::sign_in_link(settings).await, router) {
            (Ok(link), Ok(_)) => return link.url,
            (Err(err), _) => format!("{err:#}"),
            (_, Err(err)) => format!("reach the router: {err}"),
        };
        let waited = begun.elapsed().as_secs() / 15;
        if waited > reported {
            reported = waited;
            tracing::info!("still waiting for the server and the router ({why})");
        }
        sleep(Duration::from_millis(50)).await;
    }
}
