//! One build, from source to slug.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use dyno::{Driver, Limits, Spec};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use trees::Dir;
use uuid::Uuid;

use crate::buildpacks::Buildpack;
use crate::error::Error;
use crate::follow::{self, Outcome};
use crate::slugignore::SlugIgnore;
use crate::workshop::{self, Workshop};
use crate::{environment, pack, procfile, release, source};

/// Bytes of a Procfile or `.slugignore` that are read.
const SMALL_FILE: u64 = 256 << 10;
/// Lines of a Procfile that are no process and that are told: the first ones say enough.
const ODD_LINES: usize = 5;

/// What is the same for all builds of a host.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of root's for trees and slugs in the making; on the disk of the slugs.
    pub tmp: PathBuf,
    /// A build that takes longer fails.
    pub time_limit: Duration,
    /// Bytes of a slug, compressed.
    pub slug_limit: u64,
    /// What a build dyno may use.
    pub limits: Limits,
    /// Directories whose buildpacks (`file://`) may be used though not everybody can read them.
    pub local_buildpacks: Vec<PathBuf>,
}

impl Config {
    /// Heroku's limits, in the platform's data directory.
    pub fn new(data: &Path) -> Config {
        Config {
            tmp: data.join("tmp"),
            time_limit: Duration::from_secs(15 * 60),
            slug_limit: 500 << 20,
            limits: Limits {
                memory_bytes: 4 << 30,
                memory_max_bytes: 4 << 30,
                cpu_shares: 512,
                cpu_quota_us: 0,
                pids: 4096,
                disk: dyno::disks::Size::of(20 << 30),
            },
            local_buildpacks: Vec::new(),
        }
    }
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose cache and build directory it is.
    pub app_id: Uuid,
    /// Also the id of the build dyno: the same request after a crash replaces what the first left.
    pub build_id: Uuid,
    /// The app's user and group.
    pub uid: u32,
    /// The stack that the app asked for, as it is shown and put into `STACK`.
    pub stack: String,
    /// The unpacked source. It is only read; the caller removes it.
    pub source: PathBuf,
    /// `CACHE_DIR`, made if missing.
    pub cache: PathBuf,
    /// Names or URLs, in order; empty: the built-in one that fits.
    pub buildpacks: Vec<String>,
    /// Whether buildpacks in folders of this host (`file://`) may be used: it is an administrator who builds.
    pub may_use_host: bool,
    /// Config vars, for `ENV_DIR`.
    pub env: BTreeMap<String, String>,
    /// The commit or version of the source, for `SOURCE_VERSION`.
    pub source_version: String,
}

/// What a build makes.
#[derive(Clone, Debug)]
pub struct Slug {
    /// `SHA256:` and hex digits, of the file.
    pub checksum: String,
    /// Bytes of the file.
    pub size: u64,
    /// Commands by process type.
    pub process_types: BTreeMap<String, String>,
    /// What the last buildpack calls the app: `Node.js`.
    pub buildpack_description: Option<String>,
    /// A tar.zst in [`Config::tmp`] that is the caller's from now on.
    pub file: PathBuf,
}

/// Builds. Output is sent line by line, without line ends, as it comes, explanations of failures
/// included; only the last word on a failure (` !     Push rejected, {error}.`) is the caller's.
///
/// Nothing but the slug's file is left behind, whatever the outcome.
pub async fn build(
    driver: &dyn Driver,
    config: &Config,
    request: &Request,
    output: &UnboundedSender<String>,
    cancel: CancellationToken,
) -> Result<Slug, Error> {
    let workshop = Workshop::new(config, request.build_id, request.app_id, request.uid, &request.cache);
    clear(driver, &workshop, request.build_id).await?;
    workshop.clear_slug().context("remove an earlier slug")?;
    let site = Site { driver, config, request, workshop, output, cancel };
    let result = site.build().await;
    if let Err(e) = clear(driver, &site.workshop, request.build_id).await {
        tracing::warn!(build.id = %request.build_id, error = format!("{e:#}"), "cannot clean up after a build");
    }
    if result.is_err() {
        site.workshop.clear_slug().context("remove the unfinished slug")?;
    }
    result
}

/// Ends a build wherever it is, and removes its dyno, disks and files, the slug in the making as well; what it put
/// into the app's cache is lost. It is fine if there is nothing. To be called when nobody builds it.
pub async fn abandon(driver: &dyn Driver, config: &Config, build: Uuid) -> anyhow::Result<()> {
    // The app's cache may be another build's by now.
    let workshop = Workshop::new(config, build, Uuid::nil(), 0, &config.tmp.join("no-cache"));
    clear(driver, &workshop, build).await?;
    spawn_blocking(move || workshop.clear_slug())
        .await
        .context("remove the slug in the making")?
        .context("remove the slug in the making")
}

/// The builds that have left something in [`Config::tmp`], whether or not they still run.
pub fn left(config: &Config) -> std::io::Result<BTreeSet<Uuid>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&config.tmp)? {
        found.extend(entry?.file_name().to_str().and_then(workshop::of_build));
    }
    Ok(found)
}

/// Removes the dyno and the files of this build, if there are any.
async fn clear(driver: &dyn Driver, workshop: &Workshop, id: Uuid) -> anyhow::Result<()> {
    driver.remove(id).await.context("remove the build dyno")?;
    let workshop = workshop.clone();
    spawn_blocking(move || workshop.clear())
        .await
        .context("remove the build's files")?
        .context("remove the build's files")
}

/// `build.1234`, as Heroku names one-off dynos.
fn dyno_name(build: Uuid) -> String {
    format!("build.{}", 1000 + build.as_u128() % 9000)
}

/// Everything that the steps of one build need.
struct Site<'a> {
    driver: &'a dyn Driver,
    config: &'a Config,
    request: &'a Request,
    workshop: Workshop,
    output: &'a UnboundedSender<String>,
    cancel: CancellationToken,
}

impl Site<'_> {
    async fn build(&self) -> Result<Slug, Error> {
        self.say(format!("-----> Building on the {} stack", self.request.stack));
        let packs = workshop::choose(self.config, self.request).map_err(|sentence| {
            self.say(format!(" !     {sentence}"));
            Error::failed("failed to find the buildpacks")
        })?;
        let (workshop, request) = (self.workshop.clone(), self.request.clone());
        let opened = spawn_blocking(move || workshop.open(&request)).await.context("open the build's disk")?;
        opened.context("open the build's disk")?;
        self.copy_source().await?;
        self.announce(&packs);
        self.compile(&packs).await?;
        let process_types = self.discover()?;
        self.pack(process_types).await
    }

    fn say(&self, line: impl Into<String>) {
        // Nobody listens any more: the build goes on all the same.
        let _ = self.output.send(line.into());
    }

    async fn copy_source(&self) -> Result<(), Error> {
        let from = self.request.source.clone();
        let to = self.workshop.source();
        let (uid, cancel) = (self.request.uid, self.cancel.clone());
        let text = |top: Dir| top.text(Path::new(".slugignore"), SMALL_FILE);
        let ignore = Dir::open(&from).and_then(text).unwrap_or_else(|e| {
            self.say(format!(" !     .slugignore is not used: {e}"));
            None
        });
        let ignore = SlugIgnore::parse(&ignore.unwrap_or_default());
        for line in &ignore.refused {
            self.say(format!(" !     .slugignore: `{line}` is not a pattern that can be used (there is no negation)"));
        }
        let patterns = ignore.len();
        let copied =
            spawn_blocking(move || source::copy(&from, &to, uid, &ignore, &cancel)).await.context("copy the source")?;
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let ignored = copied.context("copy the source")?;
        if patterns > 0 {
            self.say("-----> Deleting files matching .slugignore patterns");
            self.say(format!("       {ignored} files and directories left out"));
        }
        Ok(())
    }

    fn announce(&self, packs: &[(String, Buildpack)]) {
        let names: Vec<_> = packs.iter().map(|(name, _)| crate::buildpacks::label(name)).collect();
        match (self.request.buildpacks.is_empty(), names.as_slice()) {
            (true, _) => self.say("-----> Determining which buildpack to use for this app"),
            (false, [name]) => self.say(format!("-----> Using buildpack: {name}")),
            (false, names) => {
                self.say("-----> Using buildpacks:");
                for (n, name) in names.iter().enumerate() {
                    self.say(format!("       {}. {name}", n + 1));
                }
            }
        }
    }

    async fn compile(&self, packs: &[(String, Buildpack)]) -> Result<(), Error> {
        let request = self.request;
        self.workshop.furnish(request, packs).context("prepare the build")?;
        let id = request.build_id.to_string();
        let host = |name: &str| std::env::var(name).ok();
        let limit = self.config.time_limit;
        let env = environment::environment(&request.stack, &request.source_version, &id, host);
        let spec = Spec {
            id: request.build_id,
            name: dyno_name(request.build_id),
            uid: request.uid,
            command: self.workshop.command(request.buildpacks.is_empty()),
            root: self.workshop.mounts(packs, &env),
            env,
            limits: self.config.limits,
            port: None,
            raw: true,
            // We end it before, if we are there.
            time: Some(limit + follow::GRACE * 3),
        };
        let outcome = follow::run(self.driver, &spec, limit, self.output, &self.cancel).await?;
        match outcome {
            Outcome::Cancelled => Err(Error::Cancelled),
            Outcome::TimedOut => {
                let minutes = limit.as_secs().div_ceil(60);
                self.say(format!(" !     The build took longer than {minutes} minutes and was stopped."));
                Err(Error::failed("the build took too long"))
            }
            Outcome::Exited(exit) => self.judge(&exit),
        }
    }

    fn judge(&self, exit: &dyno::Exit) -> Result<(), Error> {
        if let Some(error) = &exit.error {
            return Err(anyhow!("the build dyno did not start: {error}").into());
        }
        if exit.oom {
            let mb = self.config.limits.memory_max_bytes >> 20;
            self.say(format!(" !     The build used more than {mb} MB of memory and a process of it was killed."));
        }
        if exit.code == Some(0) {
            return Ok(());
        }
        if exit.crowded && !exit.oom {
            // Another time there is more.
            return Err(anyhow!("the machine was short of memory, and a process of the build was killed").into());
        }
        for sentence in self.workshop.full() {
            self.say(format!(" !     {sentence}"));
        }
        let why = self.workshop.result("failed").ok().flatten();
        let why = why.and_then(|text| text.lines().next().map(str::to_owned));
        Err(Error::failed(why.filter(|why| !why.is_empty()).unwrap_or_else(|| match exit.signal {
            Some(signal) => format!("the build was killed by signal {signal}"),
            None => "failed to compile the app".to_owned(),
        })))
    }

    fn discover(&self) -> Result<BTreeMap<String, String>, Error> {
        self.say("-----> Discovering process types");
        let text = |top: Dir| top.text(Path::new("Procfile"), SMALL_FILE);
        let procfile = Dir::open(&self.workshop.source()).and_then(text).map_err(|e| {
            self.say(format!(" !     The Procfile cannot be read: {e}. It must be a regular file."));
            Error::failed("failed to read the Procfile")
        })?;
        if let Some(text) = procfile {
            let types = procfile::parse(&text);
            self.warn_of_odd_lines(&text);
            let names: Vec<_> = types.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "(none)".to_owned() } else { names.join(", ") };
            self.say(format!("       Procfile declares types -> {names}"));
            return Ok(types);
        }
        let yaml = self.workshop.result("release.yml").ok().flatten().unwrap_or_default();
        let types = release::default_process_types(&yaml);
        self.say("       Procfile declares types     -> (none)");
        if !types.is_empty() {
            let names = types.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.say(format!("       Default types for buildpack -> {names}"));
        }
        Ok(types)
    }

    fn warn_of_odd_lines(&self, procfile: &str) {
        for (number, line) in procfile::odd_lines(procfile).into_iter().take(ODD_LINES) {
            let line: String = line.trim().chars().filter(|c| !c.is_control()).take(60).collect();
            self.say(format!(" !     Line {number} of the Procfile is no process and is passed over: {line}"));
            self.say(" !     A process is NAME: COMMAND from the first column on, e.g. web: python app.py");
        }
    }

    async fn pack(&self, process_types: BTreeMap<String, String>) -> Result<Slug, Error> {
        self.say("");
        self.say("-----> Compressing...");
        self.driver.remove(self.request.build_id).await.context("remove the build dyno")?; // nothing of it may touch the tree any more
        let workshop = self.workshop.clone();
        let synced = spawn_blocking(move || workshop.sync()).await.context("write down what was built")?;
        synced.context("write down what was built")?;
        let (tree, file) = (self.workshop.source(), self.workshop.slug().to_owned());
        let (limit, cancel) = (self.config.slug_limit, self.cancel.clone());
        let packed = spawn_blocking(move || pack::pack(&tree, &file, limit, &cancel))
            .await
            .context("pack the slug")?
            .inspect_err(|e| {
            if let Error::Failed { why } = e {
                self.say(format!(" !     The build made too much: {why}. Leave out files with .slugignore."));
            }
        })?;
        self.say(format!("       Done: {}", human(packed.size)));
        let description = self.workshop.result("name").ok().flatten();
        Ok(Slug {
            checksum: packed.checksum,
            size: packed.size,
            process_types,
            buildpack_description: description.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
            file: self.workshop.slug().to_owned(),
        })
    }
}

/// `12.3M`, as Heroku writes it.
fn human(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{:.1}K", bytes as f64 / 1024.0),
        1_048_576.. => format!("{:.1}M", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(human(10), "10B");
        assert_eq!(human(1536), "1.5K");
        assert_eq!(human(12_900_000), "12.3M");
    }
}
