//! The files through which processes enter control groups.
//!
//! Moving a process waits until the kernel has synchronized all processors, which takes 7 ms and more. Two ways avoid
//! that: in a hierarchy of version 1, a thread moves itself; in that of version 2, a process is created inside.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::Hierarchy;

/// The files through which a process enters its groups.
#[derive(Default)]
pub struct EntryFiles {
    v1: Vec<PathBuf>,
    v2: Option<PathBuf>,
}

impl EntryFiles {
    pub(super) fn add(&mut self, hierarchy: &Hierarchy, group: PathBuf) {
        match hierarchy.v2 {
            true => self.v2 = Some(group),
            false => self.v1.push(group.join("tasks")),
        }
    }

    /// The files to which a process with one thread writes `0` to enter all of them.
    pub fn files(&self) -> Vec<PathBuf> {
        self.v1.iter().cloned().chain(self.v2.iter().map(|group| group.join(PROCS))).collect()
    }

    /// Moves this process, which must have one thread, into all of them.
    pub(crate) fn enter(&self) -> io::Result<()> {
        self.files().into_iter().try_for_each(|file| fs::write(file, "0"))
    }

    /// Opens them, for when they are no longer visible.
    pub(crate) fn open(&self) -> io::Result<OpenEntryFiles> {
        let entry = |path: PathBuf| OpenOptions::new().write(true).open(path);
        let inside = self.v2.as_ref().map(|group| {
            let dir = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(group)?;
            Ok::<_, io::Error>((dir, entry(group.join(PROCS))?))
        });
        let files = self.v1.iter().cloned().map(entry).collect::<io::Result<_>>()?;
        Ok(OpenEntryFiles { v1: files, v2: inside.transpose()? })
    }
}

/// The file with the processes of a group.
const PROCS: &str = "cgroup.procs";

/// The files through which processes enter groups, open.
pub(crate) struct OpenEntryFiles {
    v1: Vec<File>,
    /// The directory, and its file of processes.
    v2: Option<(File, File)>,
}

/// The two returns of a fork.
pub(crate) enum Forked {
    /// With the id of the child.
    Parent(i32),
    /// With an error if it could not enter its groups.
    Child(io::Result<()>),
}

impl OpenEntryFiles {
    /// Forks; the child is in the groups. This process must have one thread.
    pub fn fork(&self) -> io::Result<Forked> {
        let created = self.v2.as_ref().map(|(group, _)| fork_into(group));
        let (pid, is_inside) = match created {
            Some(Ok(pid)) => (pid, true),
            // The kernel refuses that, or something filters the call: the child moves itself.
            Some(Err(_)) | None => (fork()?, false),
        };
        if pid > 0 {
            return Ok(Forked::Parent(pid));
        }
        let moved = self.v2.iter().filter(|_| !is_inside).map(|(_, procs)| procs);
        Ok(Forked::Child(moved.chain(&self.v1).try_for_each(|mut file| file.write_all(b"0"))))
    }
}

fn fork() -> io::Result<i32> {
    // SAFETY: plain system call; the caller has one thread.
    pid(unsafe { libc::fork() }.into())
}

/// The start of struct clone_args that contains what is needed here: the flags, six fields that stay zero apart from
/// the signal, the stack (none), and the group.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Linux 5.7.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks into a group of version 2.
fn fork_into(group: &File) -> io::Result<i32> {
    let args = CloneArgs {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: group.as_raw_fd() as u64,
        ..CloneArgs::default()
    };
    // SAFETY: as fork(2): no memory is shared, the stack is copied, and the caller has one thread.
    pid(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })
}

fn pid(result: libc::c_long) -> io::Result<i32> {
    match result {
        0.. => Ok(result as i32),
        _ => Err(io::Error::last_os_error()),
    }
}
