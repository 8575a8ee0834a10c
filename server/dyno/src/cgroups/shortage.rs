//! Why the kernel killed a process for want of memory: because its own group was at its limit, or
//! because all groups together were, or the machine, so that it had to be somebody.
//!
//! Version 2 counts both apart. Version 1 counts kills, and tells whoever has asked (by an eventfd) of
//! each shortage in a group or above it: those of the group itself are what it is told more often than
//! the group above.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::{field, read};

/// Whose limit it was that had a process killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortage {
    /// The group's own.
    Own,
    /// That of all groups together, or the machine's: another one would have been killed as well.
    Shared,
}

/// Looks at a group from the moment on that it is made.
pub struct MemoryWatch {
    group: PathBuf,
    v2: bool,
    /// Of version 1: what the group is told, and what the group above is told.
    events: Option<[File; 2]>,
}

impl MemoryWatch {
    /// Of a group, and of the one of all groups.
    pub(super) fn new(group: &Path, above: &Path, v2: bool) -> MemoryWatch {
        let events = || Ok::<_, io::Error>([listen(above)?, listen(group)?]);
        let events = if v2 { None } else { events().ok().map(|[above, own]| [own, above]) };
        MemoryWatch { group: group.to_owned(), v2, events }
    }

    /// Whether a process of the group was killed for want of memory, and why. To be asked once,
    /// before the group is removed.
    pub fn shortage(&self) -> Option<Shortage> {
        let (kills, own) = match self.v2 {
            true => {
                // Counts this group alone since Linux 5.2; nobody is below it.
                let events = read(&self.group.join("memory.events.local"));
                (field(&events, "oom_kill"), field(&events, "oom") > 0)
            }
            false => (field(&read(&self.group.join("memory.oom_control")), "oom_kill"), self.is_told_more()),
        };
        match (kills, own) {
            (0, _) => None,
            (_, true) => Some(Shortage::Own),
            (_, false) => Some(Shortage::Shared),
        }
    }

    /// A kernel that does not tell leaves the group's own limit as the likely reason, if it was reached.
    fn is_told_more(&self) -> bool {
        match &self.events {
            Some([own, above]) => count(own) > count(above),
            None => super::number(&read(&self.group.join("memory.failcnt"))) > 0,
        }
    }
}

/// Has the kernel count each shortage of a group, and of those above it.
fn listen(group: &Path) -> io::Result<File> {
    // SAFETY: plain system call; a descriptor that it returns is new and nobody else's.
    let counter = unsafe {
        match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
            fd @ 0.. => OwnedFd::from_raw_fd(fd),
            _ => return Err(io::Error::last_os_error()),
        }
    };
    let control = File::open(group.join("memory.oom_control"))?;
    let words = format!("{} {}", counter.as_raw_fd(), control.as_raw_fd());
    fs::write(group.join("cgroup.event_control"), words)?;
    Ok(counter.into())
}

fn count(mut counter: &File) -> u64 {
    let mut bytes = [0; 8];
    match io::Read::read(&mut counter, &mut bytes) {
        Ok(8) => u64::from_ne_bytes(bytes),
        _ => 0,
    }
}
