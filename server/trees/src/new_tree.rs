//! A tree in the making, of names that a stranger chose.
//!
//! Nothing of it is ever reached through a link, and a directory is never replaced, so whatever the
//! names are, what is made lies below the top.

use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::SFlag;

use crate::dir::kind;
use crate::{Bounds, Dir, Excess};

/// A directory that is being filled. Nobody else writes to it meanwhile. Paths are relative to its
/// top and have only ordinary parts; missing parents are made.
pub struct NewTree {
    top: Dir,
    owner: Option<u32>,
    /// What was made, directories that no entry names included: a short list of names must not become
    /// millions of them.
    made: u64,
    /// The directory that was written to last, as the next entry is likely to be beside.
    last: Option<(PathBuf, Dir)>,
}

impl NewTree {
    /// Fills `top`. With an owner, everything is given to that user, which takes root.
    pub fn new(top: Dir, owner: Option<u32>) -> NewTree {
        NewTree { top, owner, made: 0, last: None }
    }

    /// The directory that is filled.
    pub fn top(&self) -> &Dir {
        &self.top
    }

    /// Counts one more; [`Excess::Entries`] of [`Bounds::APP`] is the most.
    fn count(&mut self) -> io::Result<()> {
        self.made += 1;
        let most = Bounds::APP.entries;
        if self.made > most { Err(io::Error::other(Excess::Entries(most))) } else { Ok(()) }
    }

    /// Makes a directory with this mode, or gives this mode to the one that is there.
    pub fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.enter(path)?.set_mode(mode & 0o777 | 0o700)
    }

    /// Makes a file and opens it for writing; it replaces what is no directory.
    pub fn file(&mut self, path: &Path) -> io::Result<File> {
        let (directory, name) = self.clear(path)?;
        directory.create(&name, 0o600)
    }

    /// Gives a file its owner, mode and time, after it was written. A time that the file system cannot
    /// hold is left out.
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

    /// Makes a symbolic link; it replaces what is no directory. The target may be anything.
    pub fn symlink(&mut self, path: &Path, target: &OsStr) -> io::Result<()> {
        let owner = self.owner;
        let (directory, name) = self.clear(path)?;
        directory.symlink(target, &name)?;
        owner.map_or(Ok(()), |uid| directory.own(&name, uid))
    }

    /// Makes `path` another name of `original`. Unless that is a regular file of this tree, it is
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

    /// Removes what is at `path`, unless that is a directory, and says where it was.
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
                    // Whatever the process's mask is.
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
        // A file takes the place of the link, not of what the link leads to.
        let mut file = tree.file(Path::new("a/victim")).unwrap();
        file.write_all(b"new").unwrap();
        tree.finish(&file, 0o4777, 1).unwrap();
        tree.link(Path::new("a/again"), Path::new("a/victim")).unwrap();
        tree.link(Path::new("a/again"), Path::new("a/again")).unwrap();

        assert_eq!(fs::read_to_string(temp.path().join("victim")).unwrap(), "unharmed");
        let again = fs::metadata(temp.path().join("top/a/again")).unwrap();
        assert_eq!((again.len(), again.permissions().mode() & 0o7777), (3, 0o777));
        assert!(tree.file(Path::new("a")).is_err(), "a directory is not replaced");
        assert!(tree.directory(Path::new("a/again"), 0o755).is_err(), "nor is a file by a directory");
    }
}
