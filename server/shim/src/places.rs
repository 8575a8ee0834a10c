//! Paths in a tree, opened by descriptor without following a link, and mounts from one to another.
//!
//! A tenant controls the contents of a slug, of /app and of /tmp. So a path is looked up once, component by component,
//! below a known directory; the result is then mounted, or mounted on, by its descriptor. A path that leads through a
//! link, at any depth, is rejected.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::path::{Component, Path};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, fstat, mkdirat};

/// Attributes of every mount.
pub(crate) const SAFE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// A directory below which paths are looked up.
pub(crate) struct Tree(OwnedFd);

impl Tree {
    /// The tree of a path on the host.
    pub fn open(path: &Path) -> io::Result<Tree> {
        let root = File::open("/")?;
        let below = path.strip_prefix("/").map_err(|_| not_plain())?;
        place(root.as_fd(), below, OFlag::O_DIRECTORY).map(Tree)
    }

    /// Opens the file or directory at `path` below. Fails if any part of it is a link.
    pub fn place(&self, path: &Path) -> io::Result<OwnedFd> {
        place(self.0.as_fd(), path, OFlag::empty())
    }

    /// Opens the directory at `path` below.
    pub fn dir(&self, path: &Path) -> io::Result<OwnedFd> {
        place(self.0.as_fd(), path, OFlag::O_DIRECTORY)
    }

    /// Creates a directory with missing parents, and returns it. New ones belong to `owner`, if there is one.
    pub fn make_dir(&self, path: &Path, owner: Option<u32>) -> io::Result<OwnedFd> {
        let mut at = self.0.try_clone()?;
        for part in path.components() {
            let Component::Normal(name) = part else { return Err(not_plain()) };
            let name = Path::new(name);
            let made = match mkdirat(&at, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) => true,
                Err(nix::Error::EEXIST) => false,
                Err(e) => return Err(e.into()),
            };
            at = place(at.as_fd(), name, OFlag::O_DIRECTORY)?;
            if let Some(uid) = owner.filter(|_| made) {
                own(&at, uid)?;
            }
        }
        Ok(at)
    }

    /// Creates a new world-readable file with this text.
    pub fn write(&self, path: &Path, text: &[u8]) -> io::Result<OwnedFd> {
        let how = how(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL).mode(Mode::from_bits_truncate(0o644));
        let mut file = File::from(openat2(&self.0, plain(path)?, how)?);
        file.write_all(text)?;
        Ok(file.into())
    }
}

/// Opens the host's `path`. No part of it may be a link.
pub(crate) fn host(path: &Path) -> io::Result<OwnedFd> {
    Tree::open(Path::new("/"))?.place(path.strip_prefix("/").map_err(|_| not_plain())?)
}

fn place(below: BorrowedFd, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { plain(path)? };
    // Without O_NOFOLLOW, which would open a link at the end itself.
    match openat2(below, path, how(flags | OFlag::O_PATH)) {
        Ok(fd) => Ok(fd),
        Err(nix::Error::ELOOP) => Err(io::Error::other("it leads through a symbolic link")),
        Err(e) => Err(e.into()),
    }
}

fn how(flags: OFlag) -> OpenHow {
    let below = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(below)
}

fn plain(path: &Path) -> io::Result<&Path> {
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path),
        false => Err(not_plain()),
    }
}

fn not_plain() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "the path must be absolute and without `..`")
}

/// Changes the owner of an open directory.
fn own(dir: &OwnedFd, uid: u32) -> io::Result<()> {
    // The owner of an O_PATH descriptor cannot be changed; opening `.` in it always gives the same directory.
    fchown(openat2(dir, ".", how(OFlag::O_RDONLY | OFlag::O_DIRECTORY))?, Some(uid), Some(uid))
}

/// Whether it is a directory.
pub(crate) fn is_dir(place: &OwnedFd) -> io::Result<bool> {
    Ok(fstat(place)?.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Mounts `source` on `target`, with these attributes (`MOUNT_ATTR_…`) from the start.
pub(crate) fn attach(source: &OwnedFd, target: &OwnedFd, attributes: u64) -> io::Result<()> {
    let tree = detached(source)?;
    let wanted = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let (size, at) = (size_of::<libc::mount_attr>(), libc::AT_EMPTY_PATH);
    // SAFETY: plain system call on an open descriptor; the size is that of the structure.
    let set =
        unsafe { libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), c"".as_ptr(), at, &raw const wanted, size) };
    check(set)?;
    put(&tree, target)
}

/// Bind-mounts `from` at `to`, without set-user-id programs and devices, read-only unless `writable`. Neither path is
/// under tenants' control, unless it leads to an open descriptor.
pub fn bind(from: &Path, to: &Path, writable: bool) -> io::Result<()> {
    mount_on(to, from.to_str(), None, MsFlags::MS_BIND, None)?;
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    flags.set(MsFlags::MS_RDONLY, !writable);
    mount_on(to, None, None, flags, None)
}

/// Mounts; the arguments are those of mount(2), the target first.
pub fn mount_on(
    target: impl AsRef<Path>,
    source: Option<&str>,
    kind: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> io::Result<()> {
    mount(source, target.as_ref(), kind, flags, options).map_err(io::Error::from)
}

/// A detached mount of `source`.
pub(crate) fn detached(source: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32;
    // SAFETY: plain system call on an open descriptor; the returned descriptor is new and owned by nobody else.
    unsafe {
        let tree = check(libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags))?;
        Ok(OwnedFd::from_raw_fd(tree as i32))
    }
}

/// Attaches a detached mount to `target`.
pub(crate) fn put(tree: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
    let (empty, how) = (c"".as_ptr(), libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH);
    // SAFETY: plain system call on open descriptors.
    check(unsafe { libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), empty, target.as_raw_fd(), empty, how) })
        .map(drop)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Mounts a new file system on `target`. Needs a visible /proc.
pub(crate) fn mount_new(
    kind: &str,
    source: &str,
    target: &OwnedFd,
    flags: MsFlags,
    options: Option<&str>,
) -> io::Result<()> {
    mount(Some(source), by_descriptor(target).as_str(), Some(kind), flags, options).map_err(io::Error::from)
}

/// A path that leads to an open descriptor.
pub(crate) fn by_descriptor(place: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", place.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_part_of_a_path_may_be_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real/inner");
        fs::create_dir_all(&real).unwrap();
        symlink(&real, dir.path().join("link")).unwrap();
        symlink("real", dir.path().join("parent")).unwrap();
        for (path, good) in [("real/inner", true), ("link", false), ("parent/inner", false), ("real/../real", false)] {
            assert_eq!(host(&dir.path().join(path)).is_ok(), good, "{path}");
        }
        assert!(host(Path::new("relative")).is_err());
    }

    #[test]
    fn nothing_is_made_or_written_through_a_link() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), dir.path().join("app")).unwrap();
        symlink(outside.path().join("target"), dir.path().join("file")).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        assert!(tree.make_dir(Path::new("app/new"), None).is_err());
        assert!(tree.make_dir(Path::new("app"), None).is_err());
        assert!(tree.write(Path::new("app/new"), b"x").is_err());
        assert!(tree.write(Path::new("file"), b"x").is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        tree.make_dir(Path::new("a/b"), None).unwrap();
        tree.write(Path::new("a/b/c"), b"x").unwrap();
        assert_eq!(fs::read(dir.path().join("a/b/c")).unwrap(), b"x");
    }
}
