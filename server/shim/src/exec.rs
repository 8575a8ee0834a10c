//! A further process in a running dyno: `wharf-shim dyno exec`, with the stream to the server as standard input.
//!
//! ```text
//! server ──spawns──→ this ──forks──→ inside (enters the namespaces) ──forks──→ the command
//!                     └─ serves the command's terminal until it ends or the server hangs up
//! ```
//!
//! The command runs with the user, namespaces, control groups and filters of the dyno, and counts towards its limits.
//! This program and `inside` stay outside, where the dyno's processes do not see them.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::cgroups::Cgroups;
use crate::console::{Console, Inside, Session, Surroundings};
use crate::pipe::Pipe;
use crate::reap::reap;
use crate::sentence::{Sentence, doing, fail};
use crate::terminal::{EXIT, message};
use crate::{Ended, ExecOrder, Worth, confine, descriptors, init, memory};

/// The size limit of an order: config vars are far smaller.
const MOST_ORDER: usize = 16 << 20;
/// Seconds until the command has to run. The dyno's processes can stop the one that becomes it (SIGSTOP).
const START: u32 = 60;

/// Runs it to its end. To be called before any thread exists.
pub(crate) fn main() -> ! {
    // SAFETY: plain system calls: only the three standard descriptors are for us.
    unsafe {
        libc::umask(0o077);
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0);
    }
    let stream = descriptors::take(0).map(|file| UnixStream::from(OwnedFd::from(file)));
    let Ok(mut stream) = stream else { fail("Could not take over the stream to the server.") };
    // SAFETY: this process has one thread. The parent ends, so that the server need not wait for this process.
    match unsafe { libc::fork() } {
        -1 => fail("Could not detach from the server."),
        0 => unsafe { libc::setsid() },
        _ => init::exit(0),
    };
    if let Err(sentence) = run(&stream) {
        let exit = serde_json::to_vec(&Ended::of_error(sentence)).unwrap_or_default();
        let _ = stream.set_nonblocking(false).and_then(|()| stream.write_all(&message(EXIT, &exit)));
    }
    init::exit(0)
}

fn run(stream: &UnixStream) -> Result<(), Sentence> {
    let order = read_order(stream).map_err(doing("read what to run"))?;
    let cgroups = Cgroups::of_dynos(&order.group).map_err(|e| e.to_string())?;
    Worth::Shim.claim();
    cgroups.shims().and_then(|entry_files| entry_files.enter()).map_err(doing("enter the shims' cgroup"))?;
    // The limit applies to forks, and not to processes that enter the group.
    if cgroups.is_full(&order.id) {
        return Err("The dyno already has as many processes as it may have.".to_owned());
    }
    // SAFETY: plain system call. Its signal ends this process, and with it `inside`.
    unsafe { libc::alarm(START) };
    let stdout = Pipe::for_output(order.uid).map_err(doing("create a pipe"))?;
    let stderr = Pipe::for_output(order.uid).map_err(doing("create a pipe"))?;
    let ready = Pipe::new().map_err(doing("create a pipe"))?;
    let ended = Pipe::new().map_err(doing("create a pipe"))?;
    let stream = stream.try_clone().map_err(doing("duplicate the stream to the server"))?;
    let console = Console::of_client(stream, order.terminal, order.uid).map_err(doing("open a terminal"))?;
    let (console, inside) = console;
    let entries = cgroups.entries(&order.id).into_iter().map(|file| OpenOptions::new().write(true).open(file));
    let plan = Plan {
        dyno: open_dyno(&cgroups, &order.id)?,
        entries: entries.collect::<Result<_, _>>().map_err(doing("open the dyno's cgroups"))?,
        uid: order.uid,
        arguments: init::c_strings(order.arguments)?,
        environment: init::c_strings(order.environment)?,
        filters: order.filters,
        inside,
        outputs: [stdout.writer, stderr.writer],
        ready: File::from(ready.writer),
        ended: File::from(ended.writer),
    };
    // SAFETY: this process has one thread, so the child may do anything.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(doing("start a process in the dyno")(io::Error::last_os_error())),
        0 => {
            drop((stdout.reader, stderr.reader, ready.reader, ended.reader, console));
            enter(plan)
        }
        child => child,
    };
    drop(plan);
    let mut why = String::new();
    File::from(ready.reader).read_to_string(&mut why).map_err(doing("read from the process in the dyno"))?;
    if !why.is_empty() {
        reap(child);
        return Err(why);
    }
    let session: Session = console.open(stdout.reader, stderr.reader).map_err(doing("open a terminal"))?;
    // SAFETY: plain system call.
    unsafe { libc::alarm(0) };
    memory::release();
    let mut around = Around { child, ended: &ended.reader, exit: None };
    session.serve(&mut around, &ended.reader).map_err(doing("serve the terminal"))
}

fn read_order(mut stream: &UnixStream) -> io::Result<ExecOrder> {
    // Not a byte more: input may follow.
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [_, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    if length > MOST_ORDER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content)?;
    Ok(serde_json::from_slice(&content)?)
}

/// A process of the dyno, which has its namespaces: its processes cannot leave them.
fn open_dyno(cgroups: &Cgroups, id: &str) -> Result<OwnedFd, Sentence> {
    let processes = || cgroups.processes(id).map_err(doing("list the dyno's processes"));
    for pid in processes()? {
        // SAFETY: plain system call; a returned descriptor is new and owned by nobody else.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
        if fd < 0 {
            continue;
        }
        // SAFETY: as above.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // If it is still in the dyno, the descriptor is that of the dyno's process, not of a later one with its number.
        if processes()?.contains(&pid) {
            return Ok(fd);
        }
    }
    Err("The dyno is not running.".to_owned())
}

/// What the child needs.
struct Plan {
    dyno: OwnedFd,
    entries: Vec<File>,
    uid: u32,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    filters: confine::Filters,
    inside: Inside,
    outputs: [OwnedFd; 2],
    /// Reports why the command could not be started; closed without data if it was.
    ready: File,
    /// Reports how the command ended.
    ended: File,
}

/// Enters the namespaces, and starts the command in them.
fn enter(mut plan: Plan) -> ! {
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    // SAFETY: plain system calls; this process has one thread.
    let forked = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        match libc::setns(plan.dyno.as_raw_fd(), namespaces) {
            0 => libc::fork(),
            _ => -1,
        }
    };
    match forked {
        -1 => give_up(&plan, &doing("enter the dyno")(io::Error::last_os_error())),
        0 => {
            let sentence = match execute(&mut plan) {
                Ok(never) => match never {},
                Err(sentence) => sentence,
            };
            give_up(&plan, &sentence)
        }
        command => {
            let Plan { mut ended, ready, outputs, inside, entries, dyno, .. } = plan;
            drop((ready, outputs, inside, entries, dyno));
            memory::release();
            let mut status = 0;
            // SAFETY: plain system call.
            while unsafe { libc::waitpid(command, &mut status, 0) } < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
            let _ = ended.write_all(&status.to_ne_bytes());
            init::exit(0)
        }
    }
}

fn give_up(plan: &Plan, sentence: &str) -> ! {
    let _ = (&plan.ready).write_all(sentence.as_bytes());
    init::exit(1)
}

fn execute(plan: &mut Plan) -> Result<init::Never, Sentence> {
    // Closed at once: they belong to the host.
    for mut file in plan.entries.drain(..) {
        file.write_all(b"0").map_err(doing("enter the dyno's cgroups"))?;
    }
    // SAFETY: plain system calls on open descriptors.
    unsafe {
        // Afterwards, since the groups are those of the dyno only once this process is in them.
        if libc::setns(plan.dyno.as_raw_fd(), libc::CLONE_NEWCGROUP) != 0 {
            return Err(doing("enter the dyno")(io::Error::last_os_error()));
        }
        libc::setsid();
        libc::dup2(plan.outputs[0].as_raw_fd(), 1);
        libc::dup2(plan.outputs[1].as_raw_fd(), 2);
    }
    Worth::Dyno.claim();
    confine::limit_resources();
    confine::reset_signals();
    confine::drop_rights(plan.uid)?;
    // Until it is the command, the dyno's processes, which have the same user now, must not trace it: it is not filtered.
    // SAFETY: plain system call; the kernel resets this when the program is replaced.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    plan.inside.attach()?;
    init::become_program(&plan.arguments, &plan.environment, &plan.filters)
}

/// The supervisor of the command.
struct Around<'a> {
    /// The process that waits for the command. The command is killed with its terminal, or with the dyno.
    child: i32,
    ended: &'a OwnedFd,
    exit: Option<Vec<u8>>,
}

impl Surroundings for Around<'_> {
    /// Closing the terminal or the pipes, which follows, is what ends it.
    fn hang_up(&mut self) {}

    /// What ignores that ends with the dyno; nobody waits for it any more.
    fn kill(&mut self) {
        init::exit(0)
    }

    /// The dyno goes on, also with what the command has started.
    fn has_ended(&mut self) {}

    fn say(&mut self, _: &str) {}

    fn look(&mut self) -> Option<Duration> {
        None
    }

    fn exit(&mut self) -> Vec<u8> {
        let (child, ended) = (self.child, self.ended);
        let exit = self.exit.get_or_insert_with(|| {
            reap(child);
            serde_json::to_vec(&Ended::of_command(ended, None)).unwrap_or_default()
        });
        exit.clone()
    }
}
