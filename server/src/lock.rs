//! Locks of the roles: one process per role and data directory.
//!
//! A lock is a file in RUN that the kernel keeps locked while its holder lives, so
//! that a crash leaves none behind. It contains the holder's process id and a note.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

/// A lock that is held until this is dropped.
pub struct Lock(#[expect(dead_code, reason = "it is held, not used")] Flock<File>);

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: i32,
    /// Its note about itself, e.g. its address.
    pub note: String,
}

/// Takes the lock at `path` and writes `note` into it, or returns its holder.
pub fn take(path: &Path, note: &str) -> Result<std::result::Result<Lock, Holder>> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = open.with_context(|| format!("open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut file) => {
            file.set_len(0).and_then(|()| file.rewind()).context("truncate the lock")?;
            write!(file, "{} {note}", std::process::id()).with_context(|| format!("write {}", path.display()))?;
            Ok(Ok(Lock(file)))
        }
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            file.read_to_string(&mut text).with_context(|| format!("read {}", path.display()))?;
            Ok(Err(holder(&text)))
        }
        Err((_, err)) => Err(err).with_context(|| format!("lock {}", path.display())),
    }
}

/// Who holds the lock at `path`, if anybody does.
pub fn holder_of(path: &Path) -> Result<Option<Holder>> {
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(|| format!("read {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(None),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(Some(holder(&text))),
        Err((_, err)) => Err(err).with_context(|| format!("check the lock {}", path.display())),
    }
}

fn holder(text: &str) -> Holder {
    let (pid, note) = text.split_once(' ').unwrap_or((text, ""));
    // Zero stands for a holder that has not written its id yet.
    Holder { pid: pid.parse().unwrap_or(0), note: note.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_holder_and_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("up.lock");
        assert_eq!(holder_of(&path).unwrap(), None);
        let held = take(&path, "127.0.0.1:5000").unwrap().ok().unwrap();
        let me = Holder { pid: std::process::id() as i32, note: "127.0.0.1:5000".into() };
        assert_eq!(take(&path, "other").unwrap().err(), Some(me.clone()));
        assert_eq!(holder_of(&path).unwrap(), Some(me));
        drop(held);
        assert_eq!(holder_of(&path).unwrap(), None);
        assert!(take(&path, "other").unwrap().is_ok());
    }
}
