//! Installing a runtime: its files, and its part of archives.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::Context;
use trees::{Bounds, Dir, NewTree, Walk};

use super::{Installed, Linked, PARTS, Runtime};
use crate::pack;

impl Installed {
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
        let linked = Linked { runtime, id, sub: runtime.part().to_owned(), files, parts: aside.to_owned() };
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
