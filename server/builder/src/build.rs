//! One build, from source to slug.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use api::ids::BuildId;
use dyno::{Driver, Outcome, Spec, Stop, run_to_end};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use trees::Dir;

use crate::buildpacks::Buildpack;
use crate::config::Config;
use crate::error::Error;
use crate::follow;
use crate::request::Request;
use crate::runtime_requests::{Hold, Requests};
use crate::runtimes::Installed;
use crate::slugignore::SlugIgnore;
use crate::workspace::{self, Workspace};
use crate::{environment, pack, procfile, release, source, unpack};

/// Size limit of a Procfile or `.slugignore`.
const SMALL_FILE: u64 = 256 << 10;
/// Number of invalid lines of a Procfile that are reported.
const ODD_LINES: usize = 5;

/// The result of a build.
#[derive(Clone, Debug)]
pub struct Slug {
    /// `SHA256:` and hex digits, of the file.
    pub checksum: String,
    /// Bytes of the file.
    pub size: u64,
    /// Commands by process type.
    pub process_types: BTreeMap<String, String>,
    /// The last buildpack's name for the app: `Node.js`.
    pub buildpack_description: Option<String>,
    /// A tar.zst in [`Config::tmp`], to be removed by the caller.
    pub file: PathBuf,
}

/// Runs a build. Output is sent line by line, without line ends, including explanations of failures; only the last line
/// of a failure (` ! Push rejected, {error}.`) is up to the caller.
///
/// Leaves only the slug behind, its file and its unpacked tree, whatever the outcome.
pub async fn build(
    driver: &dyn Driver,
    config: &Config,
    request: &Request,
    output: &UnboundedSender<String>,
    cancel: CancellationToken,
) -> Result<Slug, Error> {
    let workspace = Workspace::new(config, request.build_id, request.uid, &request.cache);
    clear(driver, &workspace, request.build_id).await?;
    workspace.clear_slug().context("remove an earlier slug")?;
    let run = Run { driver, config, request, workspace, output, cancel };
    let result = run.build().await;
    if let Err(e) = clear(driver, &run.workspace, request.build_id).await {
        tracing::warn!(build.id = %request.build_id, error = format!("{e:#}"), "could not clean up after a build");
    }
    if result.is_err() {
        run.workspace.clear_slug().context("remove the unfinished slug")?;
    }
    result
}

/// Stops a build at any point, and removes its dyno, disks and files, including an unfinished slug; its changes to the
/// app's cache are lost. Does nothing if it does not exist. To be called when no task is running the build.
pub async fn abandon(driver: &dyn Driver, config: &Config, build: BuildId) -> anyhow::Result<()> {
    // By now, another build may be using the app's cache.
    let workspace = Workspace::new(config, build, 0, &config.tmp.join("no-cache"));
    clear(driver, &workspace, build).await?;
    spawn_blocking(move || workspace.clear_slug())
        .await
        .context("remove the incomplete slug")?
        .context("remove the incomplete slug")
}

/// The builds with files in [`Config::tmp`], whether or not they are running.
pub fn left(config: &Config) -> std::io::Result<BTreeSet<BuildId>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&config.tmp)? {
        found.extend(entry?.file_name().to_str().and_then(workspace::of_build));
    }
    Ok(found)
}

/// Removes the dyno and the files of this build, if there are any.
async fn clear(driver: &dyn Driver, workspace: &Workspace, id: BuildId) -> anyhow::Result<()> {
    driver.remove(id.into()).await.context("remove the build dyno")?;
    let workspace = workspace.clone();
    spawn_blocking(move || workspace.clear())
        .await
        .context("remove the build's files")?
        .context("remove the build's files")
}

/// `build.1234`, like the names of one-off dynos.
fn dyno_name(build: BuildId) -> String {
    format!("build.{}", 1000 + build.get().as_u128() % 9000)
}

/// The context of a build's steps.
struct Run<'a> {
    driver: &'a dyn Driver,
    config: &'a Config,
    request: &'a Request,
    workspace: Workspace,
    output: &'a UnboundedSender<String>,
    cancel: CancellationToken,
}

impl Run<'_> {
    async fn build(&self) -> Result<Slug, Error> {
        self.say(format!("-----> Building on the {} stack", self.request.stack));
        let packs = workspace::select_buildpacks(self.config, self.request).map_err(|sentence| {
            self.say(format!(" !     {sentence}"));
            Error::failed("failed to find the buildpacks")
        })?;
        let (workspace, request) = (self.workspace.clone(), self.request.clone());
        let opened = spawn_blocking(move || workspace.open(&request)).await.context("open the build's disk")?;
        opened.context("open the build's disk")?;
        self.copy_source().await?;
        self.announce(&packs);
        let _in_use = self.compile(&packs).await?;
        let process_types = self.discover()?;
        self.pack(process_types).await
    }

    fn say(&self, line: impl Into<String>) {
        // The receiver is gone; the build continues.
        let _ = self.output.send(line.into());
    }

    async fn copy_source(&self) -> Result<(), Error> {
        let from = self.request.source.clone();
        let to = self.workspace.source();
        let (uid, cancel) = (self.request.uid, self.cancel.child_token());
        let text = |top: Dir| top.text(Path::new(".slugignore"), SMALL_FILE);
        let ignore = Dir::open(&from).and_then(text).unwrap_or_else(|e| {
            self.say(format!(" !     Ignoring .slugignore: {e}"));
            None
        });
        let mut ignore = SlugIgnore::parse(&ignore.unwrap_or_default());
        for problem in &ignore.problems {
            self.say(format!(" !     .slugignore: {problem}"));
        }
        let (patterns, stop) = (ignore.len(), cancel.clone().drop_guard());
        let copying = spawn_blocking(move || source::copy(&from, &to, uid, &mut ignore, &cancel));
        let copied = match tokio::time::timeout(self.config.time_limit, copying).await {
            Ok(copied) => copied.context("copy the source")?,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        if copied.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::TimedOut) {
            // When the guard is dropped, copying stops at the next file.
            self.say(" !     Copying the source took too long. Remove patterns from .slugignore, or files.");
            return Err(Error::failed("copying the source took too long"));
        }
        stop.disarm();
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let ignored = copied.context("copy the source")?;
        if patterns > 0 {
            self.say("-----> Deleting files matching .slugignore patterns");
            self.say(format!("       {ignored} files and directories excluded"));
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

    /// Returns what keeps the used runtimes installed.
    async fn compile(&self, packs: &[(String, Buildpack)]) -> Result<Vec<Hold>, Error> {
        let request = self.request;
        self.workspace.prepare(request, packs).context("prepare the build")?;
        let supply = self.config.runtimes.as_deref();
        let id = request.build_id.to_string();
        let host = |name: &str| std::env::var(name).ok();
        let limit = self.config.time_limit;
        let env = environment::environment(&request.stack, &request.source_version, &id, host);
        let spec = Spec {
            id: request.build_id.into(),
            name: dyno_name(request.build_id),
            uid: request.uid,
            command: workspace::command(request.buildpacks.is_empty()),
            root: self.workspace.mounts(packs, &env, supply.map(|supply| supply.installed().shared())),
            env,
            limits: self.config.limits,
            port: None,
            raw: true,
            // The server ends it earlier, if it is running.
            time: Some(limit + follow::GRACE * 3),
            terminal: None,
        };
        let stop = Stop { limit, grace: follow::GRACE, cancel: &self.cancel };
        let mut lines = follow::Lines(self.output);
        let mut requests =
            Requests::open(&self.workspace.builder(), request.uid).context("create the build's pipes")?;
        let mut holds = Vec::new();
        let outcome = tokio::select! {
            outcome = run_to_end(self.driver, &spec, stop, &mut lines) => outcome.context("run the build dyno")?,
            never = requests.serve(supply, &mut holds) => match never {},
        };
        match outcome {
            Outcome::Cancelled => Err(Error::Cancelled),
            Outcome::TimedOut => {
                let minutes = limit.as_secs().div_ceil(60);
                self.say(format!(" !     The build took longer than {minutes} minutes and was stopped."));
                Err(Error::failed("the build took too long"))
            }
            Outcome::Exited(exit) => self.check_exit(&exit).map(|()| holds),
        }
    }

    fn check_exit(&self, exit: &dyno::Exit) -> Result<(), Error> {
        if let Some(error) = &exit.error {
            return Err(anyhow!("the build dyno did not start: {error}").into());
        }
        if exit.oom {
            let mb = self.config.limits.memory_max_bytes >> 20;
            self.say(format!(
                " !     The build used more than {mb} MB of memory, and one of its processes was killed."
            ));
        }
        if exit.code == Some(0) {
            return Ok(());
        }
        if exit.crowded && !exit.oom {
            // A retry may find more memory.
            return Err(anyhow!("the machine ran out of memory, and a process of the build was killed").into());
        }
        for sentence in self.workspace.full() {
            self.say(format!(" !     {sentence}"));
        }
        let why = self.workspace.result("failed").ok().flatten();
        let why = why.and_then(|text| text.lines().next().map(str::to_owned));
        Err(Error::failed(why.filter(|why| !why.is_empty()).unwrap_or_else(|| match exit.signal {
            Some(signal) => format!("the build was killed by signal {signal}"),
            None => "failed to compile the app".to_owned(),
        })))
    }

    fn discover(&self) -> Result<BTreeMap<String, String>, Error> {
        self.say("-----> Discovering process types");
        let text = |top: Dir| top.text(Path::new("Procfile"), SMALL_FILE);
        let procfile = Dir::open(&self.workspace.source()).and_then(text).map_err(|e| {
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
        let yaml = self.workspace.result("release.yml").ok().flatten().unwrap_or_default();
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
            self.say(format!(" !     Ignoring line {number} of the Procfile, which is not a process: {line}"));
            self.say(" !     Processes are declared as NAME: COMMAND at the start of a line, e.g. web: python app.py");
        }
    }

    async fn pack(&self, process_types: BTreeMap<String, String>) -> Result<Slug, Error> {
        self.say("");
        self.say("-----> Compressing...");
        self.driver.remove(self.request.build_id.into()).await.context("remove the build dyno")?; // none of its processes may change the tree any more
        let workspace = self.workspace.clone();
        let synced = spawn_blocking(move || workspace.sync()).await.context("record the build result")?;
        synced.context("record the build result")?;
        let packing = Packing {
            tree: self.workspace.source(),
            archive: self.workspace.slug().to_owned(),
            into: self.request.unpacked.clone(),
            uid: self.request.uid,
            runtimes: self.config.runtimes.as_ref().map(|supply| supply.installed().clone()),
            limit: self.config.slug_limit,
            cancel: self.cancel.clone(),
        };
        let packed = spawn_blocking(move || packing.run()).await.context("pack the slug")?.inspect_err(|e| {
            if let Error::Failed { why } = e {
                self.say(format!(" !     The build output is too large: {why}. Exclude files with .slugignore."));
            }
        })?;
        self.say(format!("       Done: {}", human(packed.size)));
        let description = self.workspace.result("name").ok().flatten();
        Ok(Slug {
            checksum: packed.checksum,
            size: packed.size,
            process_types,
            buildpack_description: description.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
            file: self.workspace.slug().to_owned(),
        })
    }
}

/// Makes a slug of a built tree: the archive, and the unpacked slug in place.
struct Packing {
    tree: PathBuf,
    archive: PathBuf,
    into: PathBuf,
    uid: u32,
    runtimes: Option<Installed>,
    limit: u64,
    cancel: CancellationToken,
}

impl Packing {
    fn run(&self) -> Result<pack::Packed, Error> {
        let unpacked = unpack::begin(&self.into, self.uid).context("create the folder of the slug")?;
        let outputs = pack::Outputs {
            archive: &self.archive,
            tree: Some((&unpacked, self.uid)),
            runtimes: self.runtimes.as_ref(),
        };
        let packed = pack::pack(&self.tree, &outputs, self.limit, &self.cancel).and_then(|packed| {
            unpack::move_into_place(&unpacked, false, &self.into).context("move the slug into place")?;
            Ok(packed)
        });
        trees::remove(&unpacked).context("remove the unfinished slug")?;
        packed
    }
}

/// `12.3M`, as on Heroku.
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
