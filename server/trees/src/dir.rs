//! A directory held by its file descriptor, and operations below it.
//!
//! Paths are relative to it. The kernel resolves them (`openat2`) without leaving the directory,
//! without following a link and without crossing a mount, so there is no moment between a check and
//! its use.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{Gid, LinkatFlags, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};

/// A directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    /// Opens the directory at `path`. The parent path is trusted, its last component is not: a link is an
    /// error.
    pub fn open(path: &Path) -> io::Result<Dir> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Dir(open(path, flags, Mode::empty())?))
    }

    /// Opens the directory at `path` below this one; the empty path is this one itself.
    pub fn dir(&self, path: &Path) -> io::Result<Dir> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Dir(self.resolve(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?))
    }

    /// Opens the regular file at `path` for reading. Anything else is an error, and never blocks.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        let opened = self.resolve(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY, Mode::empty());
        let file = File::from(opened.map_err(|e| match e {
            Errno::ELOOP => io::Error::other("it is a symbolic link or reached through one"),
            Errno::ENXIO => io::Error::other("it is not a regular file"),
            e => e.into(),
        })?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(file)
    }

    /// The text of the regular file at `path`; `None` if it does not exist. A file larger than `limit` bytes is
    /// an error.
    pub fn text(&self, path: &Path, limit: u64) -> io::Result<Option<String>> {
        let file = match self.file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::other(format!("it is larger than {} KB", limit >> 10)));
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Creates the regular file `name` and opens it for writing. It must not exist.
    pub fn create(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        Ok(self.resolve(Path::new(name), flags, Mode::from_bits_truncate(mode))?.into())
    }

    /// Creates the directory `name`. It must not exist.
    pub fn make(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::from_bits_truncate(mode))?)
    }

    /// Creates the symbolic link `name` to `target`, which is not checked.
    pub fn symlink(&self, target: &OsStr, name: &OsStr) -> io::Result<()> {
        Ok(symlinkat(target, &self.0, name)?)
    }

    /// Creates `name` here as a hard link to `other` in `from`.
    pub fn link(&self, from: &Dir, other: &OsStr, name: &OsStr) -> io::Result<()> {
        Ok(linkat(&from.0, other, &self.0, name, LinkatFlags::empty())?)
    }

    /// The target of the link `name`.
    pub fn target(&self, name: &OsStr) -> io::Result<OsString> {
        Ok(readlinkat(&self.0, name)?)
    }

    /// The metadata of `name` itself, without following links.
    pub fn stat(&self, name: &OsStr) -> io::Result<FileStat> {
        Ok(fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Changes the owner of `name` itself.
    pub fn own(&self, name: &OsStr, uid: u32) -> io::Result<()> {
        let (user, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)));
        Ok(fchownat(&self.0, name, user, group, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Sets the mode of this directory.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fchmod(&self.0, Mode::from_bits_truncate(mode))?)
    }

    /// Removes `name`, which must not be a directory.
    pub fn unlink(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Moves `name` to `path`, which is trusted.
    pub fn rename(&self, name: &OsStr, path: &Path) -> io::Result<()> {
        Ok(renameat(&self.0, name, AT_FDCWD, path)?)
    }

    /// Names in the directory, at most `most` of them, unordered.
    pub fn names(&self, most: usize) -> io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStrExt;
        let mut stream = nix::dir::Dir::from_fd(self.dir(Path::new(""))?.0)?;
        let mut names = Vec::new();
        for entry in stream.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
            if names.len() == most {
                break;
            }
        }
        Ok(names)
    }

    fn resolve(&self, path: &Path, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
        let within = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV;
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat2(&self.0, path, OpenHow::new().flags(flags).mode(mode).resolve(within))
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> OwnedFd {
        dir.0
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The kind of file in `st_mode`.
pub(crate) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_path_leads_out() {
        let temp = tempfile::tempdir().unwrap();
        let tree = temp.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(temp.path().join("victim"), "x").unwrap();
        fs::write(tree.join("a/b/file"), "text").unwrap();
        symlink("../../victim", tree.join("a/file")).unwrap();
        symlink("/etc", tree.join("a/etc")).unwrap();
        symlink("b", tree.join("a/near")).unwrap();
        symlink(&tree, temp.path().join("tree-link")).unwrap();

        let dir = Dir::open(&tree).unwrap();
        assert_eq!(dir.text(Path::new("a/b/file"), 4).unwrap().unwrap(), "text");
        assert!(dir.text(Path::new("a/b/none"), 4).unwrap().is_none());
        for path in ["a/file", "a/etc/passwd", "a/near/file", "../victim", "/etc/passwd", "a/b"] {
            assert!(dir.text(Path::new(path), 1 << 20).is_err(), "{path}");
        }
        for path in ["a/etc", "a/near", "..", "/"] {
            assert!(dir.dir(Path::new(path)).is_err(), "{path}");
        }
        assert!(Dir::open(&temp.path().join("tree-link")).is_err());
        assert!(dir.text(Path::new("a/b/file"), 3).unwrap_err().to_string().contains("larger"));
    }

    #[test]
    fn special_files_are_reported_and_do_not_block() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        nix::unistd::mkfifo(&temp.path().join("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
        fs::create_dir(temp.path().join("directory")).unwrap();
        for name in ["pipe", "socket", "directory"] {
            let said = dir.file(Path::new(name)).unwrap_err().to_string();
            assert_eq!(said, "it is not a regular file", "{name}");
        }
    }
}
