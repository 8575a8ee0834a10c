//! The source tree as a build gets it: a copy, without what does not belong in a slug.
//!
//! A copy, because buildpacks write into it: after a crash the same build starts again from the
//! caller's untouched tree.

use std::collections::VecDeque;
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::files;
use crate::slugignore::SlugIgnore;

/// Never in a slug, at any depth.
const GIT: [&str; 2] = [".git", ".gitmodules"];
/// Emptied at the root, as on Heroku.
const EMPTIED: [&str; 2] = ["log", "tmp"];

/// Copies `from` to the new directory `to`, owned by `uid`. Links are copied as links, special
/// files are left out. Returns how many entries `.slugignore` left out.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    uid: u32,
    ignore: &SlugIgnore,
    cancel: &CancellationToken,
) -> io::Result<u64> {
    files::make_private(to, uid)?;
    let mut ignored = 0;
    let mut queue = VecDeque::from([PathBuf::new()]);
    while let Some(directory) = queue.pop_front() {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        for entry in fs::read_dir(from.join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            let is_dir = entry.file_type()?.is_dir();
            let text = path.to_string_lossy();
            if is_left_out(&text) {
                continue;
            }
            if ignore.matches(&text, is_dir) {
                ignored += 1;
                continue;
            }
            copy_entry(&entry, &to.join(&path), uid)?;
            if is_dir {
                queue.push_back(path);
            }
        }
    }
    Ok(ignored)
}

fn is_left_out(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let root = path.split_once('/').map(|(root, _)| root);
    GIT.contains(&name) || root.is_some_and(|root| EMPTIED.contains(&root))
}

fn copy_entry(entry: &fs::DirEntry, to: &Path, uid: u32) -> io::Result<()> {
    let meta = entry.path().symlink_metadata()?;
    let mode = meta.permissions().mode() & 0o777;
    if meta.is_dir() {
        fs::create_dir(to)?;
        fs::set_permissions(to, Permissions::from_mode(mode | 0o700))?;
    } else if meta.is_symlink() {
        symlink(fs::read_link(entry.path())?, to)?;
    } else if meta.is_file() {
        fs::copy(entry.path(), to)?;
        fs::set_permissions(to, Permissions::from_mode(mode | 0o600))?;
        let times = FileTimes::new().set_modified(meta.modified()?);
        File::options().write(true).open(to)?.set_times(times)?;
    } else {
        return Ok(());
    }
    files::own(to, uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_belong_in_a_slug_stays_behind() {
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

        let ignore = SlugIgnore::parse("/docs\n");
        let uid = nix::unistd::geteuid().as_raw();
        let ignored = copy(&from, &to, uid, &ignore, &CancellationToken::new()).unwrap();

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
        assert_eq!(run.modified().unwrap(), original.modified().unwrap());
    }
}
