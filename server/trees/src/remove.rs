//! Removes a tree with any contents.
//!
//! Directories are opened by descriptor and never through a link. At most [`HELD`] of them are open: a deeper one is
//! first moved to the top of the tree and handled later. So any tree needs the same few descriptors and little memory,
//! and an interrupted removal leaves a tree that can be removed in the same way.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::{OwningIter, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::Dir;

/// Maximum number of open directories.
const HELD: usize = 32;
/// How often to retry when a tree is not empty after all of it was removed.
const REFILLS: usize = 100;

/// Removes the file or the whole tree at `path`, if it exists. The parent path is trusted, its contents are
/// not: a link is removed, never followed. Entries that vanish concurrently count as removed. If interrupted or
/// failed, it leaves part of the tree; call it again.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        done => return done,
    }
    let (mut moved, mut refills) = (0, 0);
    loop {
        let before = moved;
        let emptied = Dir::open(path).and_then(|top| Removal::new(top, &mut moved)?.run());
        match emptied.and_then(|()| fs::remove_dir(path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Moved directories remain, or something was written concurrently.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty && (moved > before || refills < REFILLS) => {
                refills += usize::from(moved == before);
            }
            done => return done,
        }
    }
}

/// A directory being emptied.
struct Level {
    entries: OwningIter,
    /// Its name in the parent level.
    name: CString,
}

impl Level {
    fn new(directory: OwnedFd, name: CString) -> io::Result<Level> {
        Ok(Level { entries: nix::dir::Dir::from_fd(directory)?.into_iter(), name })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as `entries`, which the result borrows.
        unsafe { BorrowedFd::borrow_raw(self.entries.as_raw_fd()) }
    }
}

/// One pass through a tree.
struct Removal<'a> {
    /// The path down to the directory being emptied; the first is the top.
    levels: Vec<Level>,
    /// Number of directories moved up so far, used for their names.
    moved: &'a mut u64,
}

impl Removal<'_> {
    fn new(top: Dir, moved: &mut u64) -> io::Result<Removal<'_>> {
        Ok(Removal { levels: vec![Level::new(top.into(), CString::default())?], moved })
    }

    fn run(mut self) -> io::Result<()> {
        while let Some(level) = self.levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                self.leave()?;
                continue;
            };
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            // The file system may not report the type; then try.
            let may_be_file = entry.file_type() != Some(Type::Directory);
            match may_be_file.then(|| unlinkat(level.fd(), name, UnlinkatFlags::NoRemoveDir)) {
                Some(Ok(()) | Err(Errno::ENOENT)) => {}
                None | Some(Err(Errno::EISDIR)) => self.enter(name.to_owned())?,
                Some(Err(e)) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: CString) -> io::Result<()> {
        let here = self.levels[self.levels.len() - 1].fd();
        if self.levels.len() >= HELD {
            *self.moved += 1;
            let free = format!(".removed-{}", self.moved);
            // If the name is taken, the next pass handles the directory under another name.
            return match renameat(here, name.as_c_str(), self.levels[0].fd(), free.as_str()) {
                Ok(()) | Err(Errno::ENOENT | Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => Ok(()),
                Err(e) => Err(e.into()),
            };
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(here, name.as_c_str(), flags, Mode::empty()) {
            Ok(directory) => self.levels.push(Level::new(directory, name)?),
            Err(Errno::ENOENT) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    /// The directory is exhausted and removed. One that is not empty is left to the next pass.
    fn leave(&mut self) -> io::Result<()> {
        let (Some(level), Some(parent)) = (self.levels.pop(), self.levels.last()) else { return Ok(()) };
        match unlinkat(parent.fd(), level.name.as_c_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTEMPTY | Errno::EEXIST) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::mkdirat;

    use super::*;

    /// Nested directories, with a file in each.
    fn nested(top: &Path, depth: usize) {
        fs::create_dir(top).unwrap();
        let mut here: OwnedFd = Dir::open(top).unwrap().into();
        for _ in 0..depth {
            mkdirat(&here, "d", Mode::S_IRWXU).unwrap();
            let flags = OFlag::O_CREAT | OFlag::O_WRONLY;
            openat(&here, "f", flags, Mode::S_IRWXU).unwrap();
            here = openat(&here, "d", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
    }

    #[test]
    fn any_depth_is_removed() {
        // In memory, or the disk's journal would take most of the time.
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let top = temp.path().join("top");
        nested(&top, 15_000);
        // On a small stack, too small for recursion.
        let (removed, path) = (std::thread::Builder::new().stack_size(128 << 10), top.clone());
        removed.spawn(move || remove(&path)).unwrap().join().unwrap().unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn leftovers_of_an_interruption_are_removed() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().join("top");
        nested(&top, 200);
        for n in 1..5 {
            fs::create_dir_all(top.join(format!(".removed-{n}/left"))).unwrap();
        }
        fs::write(top.join(".removed-5"), "a file").unwrap();
        remove(&top).unwrap();
        assert!(!top.exists());
        remove(&top).unwrap();
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let (top, outside) = (temp.path().join("top"), temp.path().join("outside"));
        fs::create_dir_all(top.join("a")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        symlink(&outside, top.join("a/link")).unwrap();
        symlink(&outside, temp.path().join("link")).unwrap();
        nix::unistd::mkfifo(&top.join("pipe"), Mode::S_IRWXU).unwrap();
        remove(&top).unwrap();
        remove(&temp.path().join("link")).unwrap();
        assert!(!top.exists() && !temp.path().join("link").is_symlink());
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "x");
    }

    #[test]
    fn several_may_remove_one_tree() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().join("top");
        nested(&top, 2_000);
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(|| remove(&top))).collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
        assert!(!top.exists());
    }
}
