//! Why the kernel killed a process because memory ran out: its own group was at its limit, or all groups together, or
//! the machine.
//!
//! Version 2 counts both separately. Version 1 counts kills, and notifies subscribers (by an eventfd) of each shortage
//! in a group or above it: notifications that the group above does not get are about the group itself.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::{field, read};

/// The limit that was exceeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortage {
    /// The group's own.
    Own,
    /// The limit of all groups together, or the machine's: any process could have been killed.
    Shared,
}

/// Watches a group from its creation on.
pub struct MemoryWatch {
    group: PathBuf,
    v2: bool,
    /// Version 1: the notifications of the group, and those of the group above.
    events: Option<[File; 2]>,
}

impl MemoryWatch {
    /// The files of a group, and of the group of all groups.
    pub(super) fn new(group: &Path, above: &Path, v2: bool) -> MemoryWatch {
        let events = || Ok::<_, io::Error>([listen(above)?, listen(group)?]);
        let events = if v2 { None } else { events().ok().map(|[above, own]| [own, above]) };
        MemoryWatch { group: group.to_owned(), v2, events }
    }

    /// Whether a process of the group was killed because memory ran out, and which limit was exceeded. To be called
    /// once, before the group is removed.
    pub fn shortage(&self) -> Option<Shortage> {
        let (kills, own) = match self.v2 {
            true => {
                // Since Linux 5.2, counts this group alone; there are no groups below it.
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

    /// Without notifications, the group's own limit is the likely reason, if it was reached.
    fn is_told_more(&self) -> bool {
        match &self.events {
            Some([own, above]) => count(own) > count(above),
            None => super::number(&read(&self.group.join("memory.failcnt"))) > 0,
        }
    }
}

/// Has the kernel count each shortage of a group and of those above it.
fn listen(group: &Path) -> io::Result<File> {
    // SAFETY: plain system call; a returned descriptor is new and owned by nobody else.
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
