//! `wharfd up`: the whole platform on one machine.
//!
//! ```text
//! up ──┬── postgres    all of them in sessions of their own: when `up` is killed they go on,
//!      ├── server      and the next `up` takes up the router and Postgres
//!      └── router      and replaces the server, which stops no dyno
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
    supervise::{Health, Kept, Stop},
};

/// Dynos have 30 seconds to stop, and what they said last has to be read.
const SERVER_GRACE: Duration = Duration::from_secs(45);
/// Requests that still run when the platform stops.
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
            "Wharf runs already on {}: process {}, at {}. Stop that first (kill {1}), or choose another directory with --data.",
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

/// What runs.
struct Up {
    settings: Settings,
    health: Health,
    gave_up: mpsc::Receiver<String>,
    postgres: Option<Kept>,
    server: Kept,
    router: Kept,
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
                Some(Kept::new("Postgres", process, start, health.clone()))
            }
        };
        let server = spawn("server", &settings)?;
        let router = match router {
            Some(process) => process,
            None => spawn("router", &settings)?,
        };
        let again = |role: &'static str| {
            let settings = settings.clone();
            move || std::future::ready(spawn(role, &settings))
        };
        Ok(Up {
            server: Kept::new("server", server, again("server"), health.clone()),
            router: Kept::new("router", router, again("router"), health.clone()),
            settings,
            health,
            gave_up,
            postgres,
        })
    }

    /// Says where everything is once it is there, and waits for a signal.
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
        let told = if keep_dynos {
            "stopping; the dynos live on"
        } else {
            "stopping, and the dynos too; Ctrl-C again hurries"
        };
        tracing::info!("{told}");
        // The server's own word for "the dynos live on".
        let signal = if keep_dynos { Signal::SIGUSR1 } else { Signal::SIGTERM };
        let server = Stop { signal, grace: SERVER_GRACE, last: Signal::SIGKILL };
        self.server.stop(server, signals.next()).await;
        let router = Stop { signal: Signal::SIGTERM, grace: ROUTER_GRACE, last: Signal::SIGKILL };
        self.router.stop(router, signals.next()).await;
        if let Some(postgres) = self.postgres {
            // A fast shutdown: it breaks off what runs. SIGQUIT needs a recovery at the next start.
            let stop = Stop { signal: Signal::SIGINT, grace: Duration::from_secs(60), last: Signal::SIGQUIT };
            postgres.stop(stop, signals.next()).await;
        }
        tracing::info!("stopped");
    }
}

/// What of our own environment the server hands on to builds: authorities and the way out of a company.
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
/// And what every role may know.
const FOR_ALL: [&str; 4] = ["LANG", "LC_ALL", "TZ", "RUST_BACKTRACE"];

/// Starts a role as a process of its own, from the very file that runs now. It gets the settings that it
/// needs and nothing else of our environment.
fn spawn(role: &'static str, settings: &Settings) -> Result<Process> {
    let mut command = std::process::Command::new("/proc/self/exe");
    let (told, inherited): (_, &[&str]) = match role {
        "router" => (settings.router_env(), &[]),
        _ => (settings.to_env(), &FOR_BUILDS),
    };
    let of_ours = inherited.iter().chain(&FOR_ALL).filter_map(|name| Some((*name, std::env::var_os(name)?)));
    command.arg0("wharfd").arg(role);
    command.env_clear().envs(of_ours).envs(told).env("PATH", machine::search_path());
    command.current_dir("/").stdin(std::process::Stdio::null());
    Process::spawn(Command::from(command)).with_context(|| format!("start the {role}"))
}

/// Waits until the server and the router answer.
async fn wait_for_link(settings: &Settings) -> String {
    let begun = Instant::now();
    let mut told = 0;
    loop {
        let router = TcpStream::connect(settings.listen).await;
        let why = match (socket::sign_in_link(settings).await, router) {
            (Ok(link), Ok(_)) => return link.url,
            (Err(err), _) => format!("{err:#}"),
            (_, Err(err)) => format!("reach the router: {err}"),
        };
        let waited = begun.elapsed().as_secs() / 15;
        if waited > told {
            told = waited;
            tracing::info!("still waiting for the server and the router ({why})");
        }
        sleep(Duration::from_millis(50)).await;
    }
}
