//! Downloads a source, in a worker with network access and one open file.
//!
//! The order contains the allowed addresses, which `outbound` checks in the worker: names are resolved, TLS is handled
//! and responses are parsed there. The file is opened here, so that the worker sees none of the platform's directories.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use outbound::{Client, Limits, Rules};
use serde::{Deserialize, Serialize};
use worker::{Lines, Network, Order, Shown, Task, TaskFiles, Work};

use crate::{Builds, Config};

/// A downloaded archive may be as large as an uploaded one.
const LIMITS: Limits =
    Limits { time: Duration::from_secs(600), idle: Duration::from_secs(60), bytes: 1 << 30, hops: 5 };
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
const AUTHORITIES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "/authorities/file.pem"), ("SSL_CERT_DIR", "/authorities/folder")];

/// Writes the content of a URL to the file that it gets.
#[derive(Serialize, Deserialize)]
pub(crate) struct Download {
    url: String,
    rules: Rules,
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
        let done = runtime.block_on(client.download(&self.url, &mut into, &LIMITS));
        // The result of an unfinished lookup is no longer needed.
        runtime.shutdown_background();
        done.map_err(|e| e.to_string())
    }
}

/// The addresses that the host's firewall blocks for downloads, whatever code runs in them: all that `outbound`
/// rejects.
pub fn caller(config: &Config) -> dyno::Caller {
    let networks = config.outbound_networks.iter();
    let open = networks.flat_map(|network| [Some(*network), network.behind_nat64()]).flatten().map(String::from);
    dyno::Caller { user: config.downloads, closed: outbound::not_public(), open: open.collect() }
}

/// Writes the content of `url` to `file`. What was written before an error remains; the caller removes it.
///
/// Fails the build when there is no response, or when the worker dies. If the future is dropped, the worker is ended.
pub(super) async fn download(builds: &Builds, url: &str, file: &Path) -> Result<(), builder::Error> {
    let file = File::create(file).context("create the file of a source")?;
    let task = Download { url: url.to_owned(), rules: builds.outbound().rules().clone() };
    let order = Order {
        // Filled in by `Workers::send`.
        work: Work::Task { name: String::new(), words: serde_json::Value::Null },
        user: builds.config().downloads,
        shows: AUTHORITIES.iter().filter_map(|(name, at)| Some(Shown::read(real(name)?, at))).collect(),
        network: Network::Host,
        limits: WORKER,
    };
    let lines = Lines { more: vec![file.into()], ..Lines::default() };
    let failed = |why: &str| {
        let why: String = why.chars().take(MOST_CHARS).collect();
        builder::Error::Failed { why: format!("the source could not be fetched: {why}") }
    };
    match builds.workers().send(&task, order, lines).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(failed(&why)),
        Err(end @ (worker::Error::Host(_) | worker::Error::Crowded)) => Err(anyhow!("fetch a source: {end}").into()),
        Err(end) => Err(failed(&format!("the process that fetched it failed ({end})"))),
    }
}

/// The file or folder that an environment variable names, with links resolved.
fn real(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).and_then(|path| Path::new(&path).canonicalize().ok())
}
