//! The slots of the range and their dynos: a directory shared by all data directories of the host.
//!
//! It belongs to root alone, as does its lock file, since anybody who can open a file can lock it. Waiting for the lock
//! has a time limit, and the error names its holder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::StateDir;

const LEDGER: &str = "/run/wharf/network";
/// Time limit for the lock, which is held for a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// The ledger, locked for as long as this lives.
pub(super) struct Ledger {
    dir: PathBuf,
    _lock: File,
}

/// Creates the ledger, for root alone. An existing one that others can open is closed to them, and its lock, which they
/// may hold, is replaced.
pub fn prepare() -> io::Result<()> {
    prepare_at(Path::new(LEDGER))
}

fn prepare_at(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_open = fs::symlink_metadata(&path).is_ok_and(|found| found.mode() & 0o077 != 0);
        let closed = match path.ends_with("lock") {
            _ if !is_open => Ok(()),
            true => fs::remove_file(&path),
            false => fs::set_permissions(&path, fs::Permissions::from_mode(0o600)),
        };
        match closed {
            // A slot has been released in the meantime.
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

impl Ledger {
    /// Locks it. The error names the process that has held it for too long.
    pub fn open() -> io::Result<Ledger> {
        Ledger::open_at(Path::new(LEDGER), PATIENCE)
    }

    fn open_at(dir: &Path, patience: Duration) -> io::Result<Ledger> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(&path)?;
        let deadline = Instant::now() + patience;
        // SAFETY: plain system call on an open descriptor.
        while unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            match io::Error::last_os_error() {
                e if e.kind() != ErrorKind::WouldBlock => return Err(e),
                _ if Instant::now() > deadline => return Err(held(&path, &file)),
                _ => sleep(PAUSE),
            }
        }
        Ok(Ledger { dir: dir.to_owned(), _lock: file })
    }

    /// Records that the dyno of `state` has a slot.
    pub fn note(&self, slot: u32, state: &StateDir) -> io::Result<()> {
        fs::write(self.entry(slot), state.path().as_os_str().as_encoded_bytes())
    }

    /// A free slot, in rotation, so that addresses are not reused soon. Slot 0 is left out: it contains the range's own
    /// address.
    pub fn free(&self, slots: u32) -> Option<u32> {
        let next = fs::read_to_string(self.dir.join("next")).ok().and_then(|text| text.parse::<u32>().ok());
        let next = next.unwrap_or(1);
        let mut in_turn = (0..slots).map(|i| (next + i) % slots).filter(|slot| *slot != 0);
        in_turn.find(|slot| is_free(&self.entry(*slot)))
    }

    /// Sets the slot at which the next search starts.
    pub fn go_on_after(&self, slot: u32) -> io::Result<()> {
        fs::write(self.dir.join("next"), (slot + 1).to_string())
    }

    /// Whether the slot is that of the dyno of `state`.
    pub fn belongs_to(&self, slot: u32, state: &StateDir) -> bool {
        fs::read(self.entry(slot)).is_ok_and(|owner| owner == state.path().as_os_str().as_encoded_bytes())
    }

    /// Releases a slot.
    pub fn forget(&self, slot: u32) -> io::Result<()> {
        fs::remove_file(self.entry(slot))
    }

    fn entry(&self, slot: u32) -> PathBuf {
        self.dir.join(slot.to_string())
    }
}

/// A slot is free if its dyno's directory does not record it (any more).
fn is_free(entry: &Path) -> bool {
    match fs::read_to_string(entry) {
        Err(_) => true,
        Ok(owner) => !matches!(StateDir::new(owner).lease(), Ok(Some(_))),
    }
}

fn held(path: &Path, lock: &File) -> io::Error {
    let holder = lock.metadata().ok().and_then(|meta| holder_of(&fs::read_to_string("/proc/locks").ok()?, meta.ino()));
    let who = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    io::Error::new(
        ErrorKind::TimedOut,
        format!("{who} has held {} for {} s; check what it does, and stop it", path.display(), PATIENCE.as_secs()),
    )
}

/// The process that holds the lock on inode `inode`, from the kernel's list of locks.
fn holder_of(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = fields[..] else { return None };
        (file.rsplit(':').next()? == inode.to_string()).then(|| pid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_lock_too_long_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let first = Ledger::open_at(dir.path(), PATIENCE).unwrap();
        let second = Ledger::open_at(dir.path(), Duration::ZERO).err().unwrap();
        assert_eq!(second.kind(), ErrorKind::TimedOut);
        let message = second.to_string();
        assert!(message.starts_with(&format!("process {} has held", std::process::id())), "{message}");
        drop(first);
        assert!(Ledger::open_at(dir.path(), Duration::ZERO).is_ok());
    }

    #[test]
    fn a_lock_held_by_other_users_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        fs::write(&lock, "").unwrap();
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let theirs = File::open(&lock).unwrap();
        // SAFETY: plain system call on an open descriptor.
        assert_eq!(unsafe { libc::flock(theirs.as_raw_fd(), libc::LOCK_EX) }, 0);
        prepare_at(dir.path()).unwrap();
        let ledger = Ledger::open_at(dir.path(), Duration::ZERO).unwrap();
        assert_eq!(ledger._lock.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn slots_are_given_out_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_at(dir.path(), PATIENCE).unwrap();
        assert_eq!(ledger.free(8), Some(1));
        ledger.go_on_after(7).unwrap();
        assert_eq!(ledger.free(8), Some(1), "0 is the range's own");
        ledger.go_on_after(2).unwrap();
        assert_eq!(ledger.free(8), Some(3));
    }
}
