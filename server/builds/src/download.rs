//! Downloads a file, such as a source, in a worker with network access and one open file.
//!
//! The order contains the allowed addresses, which `outbound` checks in the worker: names are resolved, TLS is handled
//! and responses are parsed there. The file is opened here, so that the worker sees none of the platform's directories.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use outbound::{Client, Limits, Network, Rules};
use serde::{Deserialize, Serialize};
use worker::{Lines, Order, Shown, Task, TaskFiles, Work};

use crate::{Builds, Config};

/// The limits of all downloads. A downloaded archive may be as large as an uploaded one.
const LIMITS: Limits =
    Limits { time: Duration::from_secs(600), idle: Duration::from_secs(60), bytes: MOST_BYTES, hops: 5 };
/// Bytes of a source.
pub(crate) const MOST_BYTES: u64 = 1 << 30;
/// Beyond these, the worker is killed. The limits above are reached first, and have better error messages.
const WORKER: worker::Limits = worker::Limits {
    memory_bytes: 128 << 20,
    processes: 8,
    file_bytes: LIMITS.bytes,
    open_files: 64,
    cpu: LIMITS.time,
    time: Duration::from_secs(630),
};
/// For lookups and for writing the file.
const THREADS: usize = 4;
/// A compromised worker may return any text, but not of any length.
const MOST_CHARS: usize = 1000;

/// The variables with which the operator replaces the machine's certificate authorities, and their paths in the worker.
pub(crate) const AUTHORITIES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "/authorities/file.pem"), ("SSL_CERT_DIR", "/authorities/folder")];

/// Writes the content of a URL to the file that it gets.
#[derive(Serialize, Deserialize)]
pub(crate) struct Download {
    url: String,
    accept: Option<String>,
    rules: Rules,
    bytes: u64,
}

/// What to download.
pub(crate) struct Wanted<'a> {
    pub(crate) url: &'a str,
    /// The `Accept` header.
    pub(crate) accept: Option<&'a str>,
    pub(crate) rules: Rules,
    /// The maximum size, at most [`MOST_BYTES`].
    pub(crate) bytes: u64,
}

impl Task for Download {
    const NAME: &'static str = "source_download";
    /// The number of bytes, or why it failed: half a sentence.
    type Answer = Result<u64, String>;

    fn run(self, given: TaskFiles) -> Self::Answer {
        let file = given.files.into_iter().next().ok_or("there is no file to write to")?;
        let [authority, authorities] = AUTHORITIES.map(|(_, at)| Some(Path::new(at)).filter(|at| at.exists()));
        let client = Client::trusting(self.rules, authority, authorities).map_err(|e| e.to_string())?;
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(THREADS).build().map_err(|e| e.to_string())?;
        let mut into = tokio::fs::File::from_std(file);
        let limits = Limits { bytes: self.bytes.min(LIMITS.bytes), ..LIMITS };
        let done = runtime.block_on(client.download(&self.url, self.accept.as_deref(), &mut into, &limits));
        // Nobody waits for an unfinished lookup any more.
        runtime.shutdown_background();
        done.map_err(|e| e.to_string())
    }
}

/// The addresses that the host's firewall blocks for downloads, whatever code runs in them: all that `outbound`
/// rejects for every download. Those of runtimes may reach the networks of builds, which any tenant can reach.
pub fn caller(config: &Config) -> dyno::Caller {
    let networks = config.outbound_networks.iter().copied().chain(networks_of_builds(config));
    let open = networks.flat_map(|network| [Some(network), network.behind_nat64()]).flatten().map(String::from);
    dyno::Caller { user: config.downloads, closed: outbound::not_public(), open: open.collect() }
}

/// The networks that the operator has opened for builds.
pub(crate) fn networks_of_builds(config: &Config) -> impl Iterator<Item = Network> {
    config.host.open.iter().filter_map(|range| range.to_string().parse().ok())
}

/// Writes what is wanted to `file`. What was written before an error remains; the caller removes it.
///
/// Fails the build, with a clause, when there is no response, or when the worker dies. If the future is dropped, the
/// worker is ended.
pub(crate) async fn download(builds: &Builds, wanted: Wanted<'_>, file: &Path) -> Result<(), builder::Error> {
    let file = File::create(file).context("create the file of a download")?;
    let Wanted { url, accept, rules, bytes } = wanted;
    let task = Download { url: url.to_owned(), accept: accept.map(str::to_owned), rules, bytes };
    let order = Order {
        // Filled in by `Workers::send`.
        work: Work::Task { name: String::new(), words: serde_json::Value::Null },
        user: builds.config().downloads,
        shows: authorities(),
        network: worker::Network::Host,
        limits: WORKER,
    };
    let lines = Lines { more: vec![file.into()], ..Lines::default() };
    let failed = |why: &str| {
        let why: String = why.chars().take(MOST_CHARS).collect();
        builder::Error::Failed { why }
    };
    match builds.workers().send(&task, order, lines).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(failed(&why)),
        Err(end @ (worker::Error::Host(_) | worker::Error::Crowded | worker::Error::Lost)) => {
            Err(anyhow!("download a file: {end}").into())
        }
        Err(end) => Err(failed(&format!("the process that fetched it failed ({end})"))),
    }
}

/// The certificate authorities of the operator, for a worker that makes connections.
pub(crate) fn authorities() -> Vec<Shown> {
    AUTHORITIES.iter().filter_map(|(name, at)| Some(Shown::read(real(name)?, at))).collect()
}

/// The file or folder that an environment variable names, with links resolved.
fn real(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).and_then(|path| Path::new(&path).canonicalize().ok())
}
