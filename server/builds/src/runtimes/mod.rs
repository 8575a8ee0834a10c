//! The runtimes of this machine: downloads them when a build asks for one, and keeps those that are used.
//!
//! All tenants share them, so a build never writes one: the platform downloads a package from the registry that the
//! operator has chosen, in a worker, compares it with the checksum that the registry publishes, and installs it under
//! its version. What a build chooses is a runtime and a version.

mod eviction;
mod registry;
mod state;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use async_trait::async_trait;
use builder::{Hold, Installed, Runtime, Supply};
use outbound::Rules;
use tokio::task::spawn_blocking;

use self::registry::Package;
pub(crate) use self::state::Runtimes;
use crate::{
    Builds,
    download::{self, Wanted, download},
};

/// How long a list of versions is current.
const CURRENT: Duration = Duration::from_secs(3600);
/// A younger list that lacks a version is believed.
const RECENT: Duration = Duration::from_secs(60);
/// Time limit for downloading a list, in addition to those of downloads: builds wait for it.
const LIST_TIME: Duration = Duration::from_secs(60);
/// Bytes of a list.
const LIST_BYTES: u64 = 64 << 20;
/// Bytes of a package.
const PACKAGE_BYTES: u64 = 256 << 20;
/// The format of lists without READMEs and other text, if the registry has it.
const LIST_FORMAT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

/// Supplies the builds of this server.
#[derive(Clone)]
pub(crate) struct Supplier(pub(crate) Builds);

impl fmt::Debug for Supplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Supplier")
    }
}

#[async_trait]
impl Supply for Supplier {
    fn installed(&self) -> &Installed {
        &self.0.runtimes().installed
    }

    async fn versions(&self, runtime: Runtime) -> Result<bool, builder::Error> {
        self.list(runtime, CURRENT).await
    }

    async fn provide(&self, runtime: Runtime, version: &str) -> Result<Hold, builder::Error> {
        let runtimes = self.0.runtimes();
        // From now on, it is not evicted.
        let hold = runtimes.holds.hold(runtimes.installed.folder(runtime, version));
        if runtimes.installed.touch(runtime, version).is_err() {
            let _alone = runtimes.alone(format!("{} {version}", runtime.name())).await;
            if runtimes.installed.touch(runtime, version).is_err() {
                self.install(runtime, version).await?;
            }
        }
        Ok(Box::new(hold))
    }
}

impl Supplier {
    /// Downloads the list of versions unless it is younger than `age`. Returns whether it is.
    async fn list(&self, runtime: Runtime, age: Duration) -> Result<bool, builder::Error> {
        let runtimes = self.0.runtimes();
        let sources = registry::sources(&runtimes.installed, runtime);
        if age_of(&sources).is_some_and(|found| found < age) {
            return Ok(true);
        }
        let _alone = runtimes.alone(runtime.name().to_owned()).await;
        if age_of(&sources).is_some_and(|found| found < age) {
            return Ok(true);
        }
        match self.download_list(runtime).await {
            Ok(()) => Ok(true),
            Err(err) if sources.exists() => {
                tracing::warn!("could not update the versions of {}: {err:#}", runtime.name());
                Ok(false)
            }
            Err(err) => Err(err),
        }
    }

    async fn download_list(&self, runtime: Runtime) -> Result<(), builder::Error> {
        let installed = self.0.runtimes().installed.clone();
        let file = Temporary(installed.aside());
        let url = registry::list_url(&self.0.config().npm_registry, runtime);
        let wanted = Wanted { accept: Some(LIST_FORMAT), ..self.wanted(&url, LIST_BYTES) };
        match tokio::time::timeout(LIST_TIME, download(&self.0, wanted, &file.0)).await {
            Ok(done) => done?,
            Err(_) => return Err(failed("it took too long to respond".to_owned())),
        }
        let write = move || registry::keep_list(&installed, runtime, &file.0);
        spawn_blocking(write).await.context("read a list of versions")?
    }

    async fn install(&self, runtime: Runtime, version: &str) -> Result<(), builder::Error> {
        let installed = self.0.runtimes().installed.clone();
        let package = self.package(runtime, version).await?;
        let (file, folder) = (Temporary(installed.aside()), Temporary(installed.aside()));
        dyno::disks::must_have_space(&self.0.config().data, PACKAGE_BYTES).context("download a runtime")?;
        download(&self.0, self.wanted(&package.tarball, PACKAGE_BYTES), &file.0).await?;
        let archive = file.0.clone();
        let is_right = spawn_blocking(move || package.is(&archive))
            .await
            .context("verify a runtime")?
            .context("verify a runtime")?;
        if !is_right {
            return Err(failed("the download does not match the checksum of the registry".to_owned()));
        }
        builder::unpack_package(self.0.workers(), &file.0, &folder.0).await?;
        let (name, builds) = (version.to_owned(), self.0.clone());
        let installing = move || -> anyhow::Result<()> {
            installed.install(runtime, &name, &folder.0)?;
            // The limit holds again before the next one is installed.
            eviction::evict(&installed, &builds.runtimes().holds, eviction::MOST_BYTES)
        };
        spawn_blocking(installing).await.context("install a runtime")??;
        tracing::info!("installed {} {version} for all builds", runtime.name());
        Ok(())
    }

    /// Where this version is, by the list of the registry.
    async fn package(&self, runtime: Runtime, version: &str) -> Result<Package, builder::Error> {
        let mut age = CURRENT;
        loop {
            let is_current = self.list(runtime, age).await?;
            let (installed, name) = (self.0.runtimes().installed.clone(), version.to_owned());
            let find = move || registry::find(&installed, runtime, &name);
            let found = spawn_blocking(find).await.context("read a list of versions")??;
            match found {
                Some(package) => return Ok(package),
                // It may have been published since.
                None if is_current && age > RECENT => age = RECENT,
                None => return Err(failed("there is no such version in the npm registry".to_owned())),
            }
        }
    }

    /// The operator has chosen the registry, so it can be wherever builds can be connected to.
    fn wanted<'a>(&self, url: &'a str, bytes: u64) -> Wanted<'a> {
        let Rules { mut networks, allowed_ports } = self.0.outbound().rules().clone();
        networks.extend(download::networks_of_builds(self.0.config()));
        Wanted { url, accept: None, rules: Rules { networks, allowed_ports }, bytes }
    }
}

fn failed(why: String) -> builder::Error {
    builder::Error::Failed { why }
}

fn age_of(file: &Path) -> Option<Duration> {
    let modified = fs::metadata(file).and_then(|found| found.modified()).ok()?;
    Some(SystemTime::now().duration_since(modified).unwrap_or_default())
}

/// Something that is removed when it is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left is removed when the server starts.
        let _ = trees::remove(&self.0);
    }
}
