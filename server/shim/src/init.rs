//! PID 1 inside the dyno, and the command, its child.
//!
//! Init reaps orphans, reports how the command ended, and exits when nothing is left inside. The shim kills it with what is
//! left when the command ends, unless the dyno is being stopped. It forwards no signals: the driver sends them
//! to every process of the dyno itself. Because the command is not PID 1, an unhandled signal has its default effect.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;

use crate::cgroups::{EntryFiles, Forked, OpenEntryFiles};
use crate::sentence::{Sentence, doing};
use crate::{Order, StateDir, Worth, confine, console, memory, root};

/// The namespaces that init is cloned into. The network namespace is the shim's; the cgroup namespace is created once
/// the command has entered its groups.
pub(crate) const NAMESPACES: i32 =
    libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::SIGCHLD;

/// Everything that init needs, prepared while errors are still easy to report.
pub(crate) struct Plan {
    root: root::Root,
    hostname: String,
    uid: u32,
    entry_files: EntryFiles,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    filters: confine::Filters,
}

/// The ends of the pipes that are used inside.
pub(crate) struct Lines {
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// Reports why the command could not be started; closed without data if it was.
    pub ready: OwnedFd,
    /// Reports how the command ended.
    pub ended: OwnedFd,
    /// Hung up when the shim has exited.
    pub alive: OwnedFd,
    /// The terminal or the input of an attached command.
    pub console: Option<console::Inside>,
    /// Says where the dyno's disk is, when it is mounted and the network is set up.
    pub complete: OwnedFd,
}

impl Plan {
    /// Prepares it for a dyno with this address.
    pub fn new(state: &StateDir, order: Order, address: Ipv4Addr, entry_files: EntryFiles) -> Result<Plan, Sentence> {
        Ok(Plan {
            root: root::Root::new(state, order.root, order.uid, address, &order.id)?,
            hostname: order.id,
            uid: order.uid,
            entry_files,
            arguments: c_strings(order.arguments)?,
            environment: c_strings(order.environment)?,
            filters: order.filters,
        })
    }
}

/// For the kernel.
pub(crate) fn c_strings(words: impl IntoIterator<Item = String>) -> Result<Vec<CString>, Sentence> {
    let words = words.into_iter().map(CString::new);
    words
        .collect::<Result<_, _>>()
        .map_err(|_| "The command or a config var contains a NUL character, which is not allowed.".to_owned())
}

/// Runs as PID 1 of the new namespaces and never returns.
pub(crate) fn run(plan: Plan, lines: Lines) -> ! {
    let mut ready = File::from(lines.ready.try_clone().unwrap_or_else(|_| exit(1)));
    let command = prepare(&plan, &lines.complete).and_then(|entry_files| match entry_files.fork() {
        Err(e) => Err(doing("fork the command")(e)),
        Ok(Forked::Child(entered)) => become_command(&plan, &lines, entered, &mut ready),
        Ok(Forked::Parent(pid)) => Ok(pid),
    });
    let confined = command.and_then(|pid| {
        confine::drop_rights(plan.uid)?;
        confine::die_with_parent(&lines.alive)?;
        plan.filters.apply()?;
        Ok(pid)
    });
    match confined {
        Ok(pid) => {
            drop((ready, lines.ready, lines.stdout, lines.stderr, lines.console, lines.complete, plan));
            close_others(lines.ended.as_raw_fd());
            memory::release();
            wait_for(pid, File::from(lines.ended))
        }
        Err(sentence) => {
            let _ = ready.write_all(sentence.as_bytes());
            exit(1)
        }
    }
}

/// Sets up the file system and opens the ways into the command's groups, which are not visible afterwards.
fn prepare(plan: &Plan, complete: &OwnedFd) -> Result<OpenEntryFiles, Sentence> {
    // SAFETY: plain system call. Files created from here on must be visible to the dyno's user.
    unsafe { libc::umask(0o022) };
    let entry_files = plan.entry_files.open().map_err(doing("open the dyno's cgroups"))?;
    plan.root.enter(|| take_disk(complete))?;
    nix::unistd::sethostname(&plan.hostname).map_err(|e| doing("set the host name")(e.into()))?;
    Ok(entry_files)
}

/// What the shim says when a dyno without a disk is complete.
pub(crate) const NO_DISK: &str = "no disk";

/// Waits until the shim has set up the rest, and opens the mount of the dyno's disk, if it has one.
fn take_disk(complete: &OwnedFd) -> Result<Option<OwnedFd>, Sentence> {
    let mut place = String::new();
    let mut complete = File::from(complete.try_clone().map_err(doing("wait for the shim"))?);
    complete.read_to_string(&mut place).map_err(doing("wait for the shim"))?;
    match place.as_str() {
        "" => Err("The supervisor of this dyno has failed.".to_owned()),
        NO_DISK => Ok(None),
        place => {
            let disk = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(place);
            disk.map(|disk| Some(disk.into())).map_err(doing("open the dyno's disk"))
        }
    }
}

fn become_command(plan: &Plan, lines: &Lines, entered: io::Result<()>, ready: &mut File) -> ! {
    let sentence = match execute(plan, lines, entered) {
        Ok(never) => match never {},
        Err(sentence) => sentence,
    };
    let _ = ready.write_all(sentence.as_bytes());
    exit(1)
}

/// The type has no values.
pub(crate) enum Never {}

fn execute(plan: &Plan, lines: &Lines, entered: io::Result<()>) -> Result<Never, Sentence> {
    entered.map_err(doing("enter the dyno's cgroups"))?;
    // SAFETY: plain system calls on open descriptors.
    unsafe {
        libc::unshare(libc::CLONE_NEWCGROUP);
        libc::setsid();
        libc::dup2(lines.stdout.as_raw_fd(), 1);
        libc::dup2(lines.stderr.as_raw_fd(), 2);
    }
    Worth::Dyno.claim();
    confine::limit_resources();
    confine::reset_signals();
    confine::drop_rights(plan.uid)?;
    if let Some(console) = &lines.console {
        console.attach()?;
    }
    become_program(&plan.arguments, &plan.environment, &plan.filters)
}

/// Replaces this process, which has the rights of the app's user, with a program in /app.
pub(crate) fn become_program(
    arguments: &[CString],
    environment: &[CString],
    filters: &confine::Filters,
) -> Result<Never, Sentence> {
    std::env::set_current_dir("/app").map_err(doing("enter /app"))?;
    let (words, variables) = (pointers(arguments), pointers(environment));
    filters.apply()?;
    // SAFETY: both lists end with a null pointer and outlive the call.
    unsafe { libc::execve(words[0], words.as_ptr(), variables.as_ptr()) };
    Err(doing(format!("run {}", arguments[0].to_string_lossy()))(io::Error::last_os_error()))
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr());
    pointers.chain([ptr::null()]).collect()
}

/// Init closes everything except its pipe to the shim.
fn close_others(kept: i32) {
    let kept = kept as u32;
    // SAFETY: the descriptors that are closed are not used again, because this process only waits.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, kept - 1, 0);
        libc::syscall(libc::SYS_close_range, kept + 1, u32::MAX, 0);
    }
}

fn wait_for(command: i32, mut ended: File) -> ! {
    loop {
        let mut status = 0;
        // SAFETY: plain system call.
        let pid = unsafe { libc::waitpid(-1, &mut status, 0) };
        if pid == command {
            let _ = ended.write_all(&status.to_ne_bytes());
        }
        // Without processes there is nothing to wait for, which is an error.
        if pid < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            exit(0)
        }
    }
}

/// Exits without running the exit handlers inherited from the shim.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: plain system call.
    unsafe { libc::_exit(code) }
}
