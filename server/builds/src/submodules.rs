//! Fetches the files of a submodule, in a worker with network access that sees one empty folder.
//!
//! Like for downloads, the order contains the allowed addresses, which `outbound` checks in the worker, and the host's
//! firewall blocks all others for its user, whatever code runs in it. git gets the checked addresses.

use std::{
    fs::File,
    os::unix::fs::{PermissionsExt as _, lchown},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use outbound::{Rules, Url};
use repositories::{Contents, Remote, Submodule, fetch_files};
use serde::{Deserialize, Serialize};
use worker::{Lines, Order, Shown, Task, TaskFiles, Work};

use crate::{
    Builds,
    download::{AUTHORITIES, authorities},
};

/// The time limit of one submodule.
const TIME: Duration = Duration::from_secs(300);
/// A compromised worker may return any text, but not of any length.
const MOST_CHARS: usize = 300;

/// Fetches one submodule, and appends its files to the archive that it gets.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fetch {
    url: String,
    commit: String,
    path: String,
    rules: Rules,
}

impl Task for Fetch {
    const NAME: &'static str = "submodule_fetch";
    /// What it contains, or why it could not be fetched: a clause.
    type Answer = Result<Contents, String>;

    fn run(self, given: TaskFiles) -> Self::Answer {
        let file = given.files.into_iter().next().ok_or("there is no file to write to")?;
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(1).build().map_err(|e| e.to_string())?;
        let found = runtime.block_on(outbound::checked_addresses(&self.rules, &self.url));
        // Nobody waits for an unfinished lookup any more.
        runtime.shutdown_background();
        let (url, addresses) = found.map_err(|e| e.to_string())?;
        let remote = Remote {
            url: url.as_str(),
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']),
            addresses: &addresses,
            authorities: AUTHORITIES.iter().map(|(_, at)| *at).find(|at| Path::new(at).exists()),
        };
        fetch_files(&remote, &self.commit, &self.path, file)
    }
}

/// Appends the files of a submodule to `archive`, with `folder` for its repository, which is removed afterwards. Returns
/// what it contains, or why it could not be fetched: a clause for the user. In that case, the end of `archive` is
/// undefined.
pub(crate) async fn fetch(
    builds: &Builds,
    from: (&Submodule, &Url),
    (archive, folder): (&File, &Path),
    time: Duration,
) -> anyhow::Result<Result<Contents, String>> {
    make_folder(folder, builds.config().downloads).context("create a folder for a submodule")?;
    let fetched = fetch_into(builds, from, (archive, folder), time.min(TIME)).await;
    let folder = folder.to_owned();
    let removed = tokio::task::spawn_blocking(move || trees::remove(&folder)).await;
    removed.context("remove the repository of a submodule")?.context("remove the repository of a submodule")?;
    fetched
}

async fn fetch_into(
    builds: &Builds,
    (submodule, url): (&Submodule, &Url),
    (archive, folder): (&File, &Path),
    time: Duration,
) -> anyhow::Result<Result<Contents, String>> {
    let (commit, path) = (submodule.commit.clone(), submodule.path.clone());
    let task = Fetch { url: url.to_string(), commit, path, rules: builds.outbound().rules().clone() };
    let mut shows = authorities();
    shows.push(Shown::write(folder, repositories::REPOSITORY));
    let git = builds.git().limits();
    let order = Order {
        // Filled in by `Workers::send`.
        work: Work::Task { name: String::new(), words: serde_json::Value::Null },
        user: builds.config().downloads,
        shows,
        network: worker::Network::Host,
        limits: worker::Limits {
            memory_bytes: git.memory_bytes,
            processes: 64,
            file_bytes: git.archive_bytes(),
            open_files: 256,
            cpu: time,
            time,
        },
    };
    let file = archive.try_clone().context("duplicate the archive")?;
    let lines = Lines { more: vec![file.into()], ..Lines::default() };
    match builds.workers().send(&task, order, lines).await {
        Ok(answer) => Ok(answer.map_err(|why| why.chars().take(MOST_CHARS).collect())),
        Err(end @ (worker::Error::Host(_) | worker::Error::Crowded | worker::Error::Lost)) => {
            Err(anyhow!("fetch a submodule: {end}"))
        }
        Err(end) => Ok(Err(format!("fetching it failed ({end})"))),
    }
}

fn make_folder(folder: &Path, user: u32) -> std::io::Result<()> {
    trees::remove(folder)?;
    std::fs::create_dir(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    lchown(folder, Some(user), Some(user))
}
