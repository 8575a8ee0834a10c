//! The source tree of a build: a copy, without files that do not belong in a slug.
//!
//! A copy, because buildpacks write into it: after a crash, the build is restarted from the caller's unmodified tree.

use std::io;
use std::path::Path;

use tokio_util::sync::CancellationToken;
use trees::{Bounds, Dir, Found, NewTree, Walk};

use crate::files;
use crate::slugignore::SlugIgnore;

/// Never in a slug, at any depth.
const GIT: [&str; 2] = [".git", ".gitmodules"];
/// Emptied at the root, as on Heroku.
const EMPTIED: [&str; 2] = ["log", "tmp"];

/// Copies `from` to the new directory `to`, owned by `uid`. Links are copied as links, special
/// files are left out. Returns how many entries `.slugignore` left out. Fails with `TimedOut` if comparing them takes too
/// long.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    uid: u32,
    ignore: &mut SlugIgnore,
    cancel: &CancellationToken,
) -> io::Result<u64> {
    files::make_private(to, uid)?;
    let mut tree = NewTree::new(Dir::open(to)?, Some(uid));
    let mut walk = Walk::new(&Dir::open(from)?, Bounds::APP)?;
    let mut ignored = 0;
    while let Some(found) = walk.next()? {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let text = found.path.to_string_lossy();
        let is_left_out = is_left_out(&text);
        let is_ignored = !is_left_out && ignore.matches(&text, found.is_dir()).ok_or(io::ErrorKind::TimedOut)?;
        if is_left_out || is_ignored {
            ignored += u64::from(is_ignored);
            walk.pass_over();
            continue;
        }
        copy_entry(walk.here(), &found, &mut tree)?;
    }
    Ok(ignored)
}

fn is_left_out(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let root = path.split_once('/').map(|(root, _)| root);
    GIT.contains(&name) || root.is_some_and(|root| EMPTIED.contains(&root))
}

fn copy_entry(directory: &Dir, found: &Found, tree: &mut NewTree) -> io::Result<()> {
    let mode = found.stat.st_mode;
    if found.is_dir() {
        return tree.directory(&found.path, mode);
    }
    if found.is_symlink() {
        return tree.symlink(&found.path, &directory.target(&found.name)?);
    }
    if found.is_file() {
        let mut original = directory.file(found.name.as_ref())?;
        let mut file = tree.file(&found.path)?;
        io::copy(&mut original, &mut file)?;
        tree.finish(&file, mode, u64::try_from(found.stat.st_mtime).unwrap_or(0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn unwanted_files_are_not_in_the_slug() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for path in ["a/b", ".git", "a/.git", "log/deep", "tmp", "docs", "a/log"] {
            fs::create_dir_all(from.join(path)).unwrap();
        }
        for file in [
            "index.js",
            ".git/HEAD",
            "a/.git/HEAD",
            ".gitmodules",
            "log/x",
            "log/deep/y",
            "docs/z",
            "a/b/run",
            "a/log/kept",
        ] {
            fs::write(from.join(file), file).unwrap();
        }
        fs::set_permissions(from.join("a/b/run"), Permissions::from_mode(0o755)).unwrap();
        symlink("/etc/shadow", from.join("link")).unwrap();

        let mut ignore = SlugIgnore::parse("/docs\n");
        let uid = nix::unistd::geteuid().as_raw();
        let ignored = copy(&from, &to, uid, &mut ignore, &CancellationToken::new()).unwrap();

        assert_eq!(ignored, 1);
        assert!(to.join("log").is_dir() && to.join("tmp").is_dir());
        assert_eq!(fs::read_dir(to.join("log")).unwrap().count(), 0);
        for gone in [".git", "a/.git", ".gitmodules", "docs"] {
            assert!(!to.join(gone).exists(), "{gone}");
        }
        assert_eq!(fs::read_to_string(to.join("a/log/kept")).unwrap(), "a/log/kept");
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/shadow"));
        let run = fs::metadata(to.join("a/b/run")).unwrap();
        assert_eq!(run.permissions().mode() & 0o777, 0o755);
        let original = fs::metadata(from.join("a/b/run")).unwrap();
        assert_eq!(run.mtime(), original.mtime());
    }
}
