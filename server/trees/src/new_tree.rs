//! Creating a tree from untrusted names.
//!
//! Nothing is ever reached through a link, and a directory is never replaced, so everything created is below
//! the top, whatever the names are.

use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::SFlag;

use crate::dir::kind;
use crate::{Bounds, Dir, Excess};

/// A directory being filled, with no other writers. Paths are relative to its top and have only normal
/// components; missing parents are created.
pub struct NewTree {
    top: Dir,
    owner: Option<u32>,
    /// The number of entries created, including implicit directories: a short list of names must not turn into
    /// millions of them.
    made: u64,
    /// The directory last written to, likely the parent of the next entry.
    last: Option<(PathBuf, Dir)>,
}

impl NewTree {
    /// Fills `top`. With an owner, everything is given to that user, which requires root.
    pub fn new(top: Dir, owner: Option<u32>) -> NewTree {
        NewTree { top, owner, made: 0, last: None }
    }

    /// The directory being filled.
    pub fn top(&self) -> &Dir {
        &self.top
    }

    /// Counts one more entry; exceeding [`Bounds::APP`] is [`Excess::Entries`].
    fn count(&mut self) -> io::Result<()> {
        self.made += 1;
        let most = Bounds::APP.entries;
        if self.made > most { Err(io::Error::other(Excess::Entries(most))) } else { Ok(()) }
    }

    /// Creates a directory with this mode, or sets the mode of an existing one.
    pub fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.enter(path)?.set_mode(mode & 0o777 | 0o700)
    }

    /// Creates a file and opens it for writing; replaces anything but a directory.
    pub fn file(&mut self, path: &Path) -> io::Result<File> {
        let (directory, name) = self.clear(path)?;
        directory.create(&name, 0o600)
    }

    /// Sets the owner, mode and time of a file after it was written. A time that the file system cannot
    /// represent is skipped.
    pub fn finish(&self, file: &File, mode: u32, mtime: u64) -> io::Result<()> {
        if let Some(uid) = self.owner {
            fchown(file, Some(uid), Some(uid))?;
        }
        file.set_permissions(Permissions::from_mode(mode & 0o777 | 0o600))?;
        if let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(mtime)) {
            let _ = file.set_times(FileTimes::new().set_modified(time));
        }
        Ok(())
    }

    /// Creates a symbolic link; replaces anything but a directory. The target may be anything.
    pub fn symlink(&mut self, path: &Path, target: &OsStr) -> io::Result<()> {
        let owner = self.owner;
        let (directory, name) = self.clear(path)?;
        directory.symlink(target, &name)?;
        owner.map_or(Ok(()), |uid| directory.own(&name, uid))
    }

    /// Creates `path` as a hard link to `original`. Unless that is a regular file of this tree, it is
    /// [`ErrorKind::InvalidInput`].
    pub fn link(&mut self, path: &Path, original: &Path) -> io::Result<()> {
        let other = original.file_name().ok_or(ErrorKind::InvalidInput)?;
        let from = self.top.dir(original.parent().unwrap_or(Path::new(""))).map_err(|_| ErrorKind::InvalidInput)?;
        if !from.stat(other).is_ok_and(|stat| kind(&stat) == SFlag::S_IFREG) {
            return Err(ErrorKind::InvalidInput.into());
        }
        if path == original {
            return Ok(());
        }
        let (directory, name) = self.clear(path)?;
        directory.link(&from, other, &name)
    }

    /// Creates `path` as a hard link to the regular file `name` in `folder`, which may be outside this tree. The file
    /// keeps its owner, mode and time.
    pub fn adopt(&mut self, path: &Path, folder: &Dir, name: &OsStr) -> io::Result<()> {
        if !folder.stat(name).is_ok_and(|stat| kind(&stat) == SFlag::S_IFREG) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let (directory, new) = self.clear(path)?;
        directory.link(folder, name, &new)
    }

    /// Removes whatever is at `path` unless it is a directory, and returns its parent.
    fn clear(&mut self, path: &Path) -> io::Result<(&Dir, OsString)> {
        self.count()?;
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        let directory = self.enter(path.parent().unwrap_or(Path::new("")))?;
        match directory.unlink(&name) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok((directory, name)),
        }
    }

    fn enter(&mut self, path: &Path) -> io::Result<&Dir> {
        let known = self.last.take().filter(|(last, _)| last == path);
        let directory = match known {
            Some((_, directory)) => directory,
            None => match self.top.dir(path) {
                Err(e) if e.kind() == ErrorKind::NotFound => self.make(path)?,
                directory => directory?,
            },
        };
        Ok(&self.last.insert((path.to_owned(), directory)).1)
    }

    fn make(&mut self, path: &Path) -> io::Result<Dir> {
        let mut here = self.top.dir(Path::new(""))?;
        for name in path.iter() {
            here = match here.dir(name.as_ref()) {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    self.count()?;
                    here.make(name, 0o700)?;
                    let made = here.dir(name.as_ref())?;
                    // Independent of the process's umask.
                    made.set_mode(0o755)?;
                    self.owner.map_or(Ok(()), |uid| here.own(name, uid))?;
                    made
                }
                directory => directory?,
            };
        }
        Ok(here)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn whatever_is_made_lies_below_the_top() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("top")).unwrap();
        fs::write(temp.path().join("victim"), "unharmed").unwrap();
        let mut tree = NewTree::new(Dir::open(&temp.path().join("top")).unwrap(), None);
        tree.symlink(Path::new("a/out"), OsStr::new("../..")).unwrap();
        tree.symlink(Path::new("a/victim"), OsStr::new("../../victim")).unwrap();
        assert!(tree.file(Path::new("a/out/victim")).is_err());
        assert!(tree.directory(Path::new("a/out"), 0o755).is_err());
        assert!(tree.directory(Path::new("a/out/more"), 0o755).is_err());
        assert!(tree.file(Path::new("../victim")).is_err());
        for original in ["a/out/victim", "a/victim", "../victim", "a", "none"] {
            assert!(tree.link(Path::new("b"), Path::new(original)).is_err(), "{original}");
        }
        // A file replaces the link, not the link's target.
        let mut file = tree.file(Path::new("a/victim")).unwrap();
        file.write_all(b"new").unwrap();
        tree.finish(&file, 0o4777, 1).unwrap();
        tree.link(Path::new("a/again"), Path::new("a/victim")).unwrap();
        tree.link(Path::new("a/again"), Path::new("a/again")).unwrap();

        assert_eq!(fs::read_to_string(temp.path().join("victim")).unwrap(), "unharmed");
        let again = fs::metadata(temp.path().join("top/a/again")).unwrap();
        assert_eq!((again.len(), again.permissions().mode() & 0o7777), (3, 0o777));
        let outside = Dir::open(temp.path()).unwrap();
        tree.adopt(Path::new("b/victim"), &outside, OsStr::new("victim")).unwrap();
        assert_eq!(fs::read_to_string(temp.path().join("top/b/victim")).unwrap(), "unharmed");
        assert!(tree.adopt(Path::new("a"), &outside, OsStr::new("victim")).is_err(), "a directory is not replaced");
        assert!(tree.adopt(Path::new("c"), &outside, OsStr::new("top")).is_err(), "a directory is not linked");
        assert!(tree.file(Path::new("a")).is_err(), "a directory is not replaced");
        assert!(tree.directory(Path::new("a/again"), 0o755).is_err(), "nor is a file by a directory");
    }
}
