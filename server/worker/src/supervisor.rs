//! The process between the server and the worker: `wharfd worker NAME`.
//!
//! It is root, touches no untrusted data, and has one thread. It creates the group and the namespaces in advance, which
//! takes most of a worker's start, and waits for its order. Then it stays until all processes inside have exited:
//! because the work has ended, its time limit was reached, or the server has closed its end of the socket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use dyno::confine::{Cgroups, Shortage};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::inside::{self, Report};
use crate::message::{self, Outcome};
use crate::{Error, Limits, Tasks};

/// Size limit of reports from inside.
const MOST_BYTES: usize = 4 << 20;
/// Without the mount namespace, which is created with the order, so that it has the host's mounts of that moment.
const NAMESPACES: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET;

/// Runs a supervisor to its end. To be called before any thread exists.
///
/// Only [`Workers`](crate::Workers) can start one: it hands over a socket as standard input.
pub fn main(tasks: &Tasks) -> ! {
    // SAFETY: plain system calls; standard input is open or the copy fails.
    let control = unsafe {
        libc::umask(0o077);
        // The server may have exited when the outcome is sent.
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        let copy = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3);
        (copy >= 0).then(|| UnixStream::from(OwnedFd::from_raw_fd(copy)))
    };
    let name = std::env::args().nth(2).filter(|name| name.starts_with(crate::workers::PREFIX));
    let (control, group) = (control.filter(|control| control.peer_addr().is_ok()), std::env::args().nth(3));
    let (Some(control), Some(name), Some(group)) = (control, name, group) else {
        eprintln!("A worker is started by the server, not manually.");
        std::process::exit(1)
    };
    let cgroups = Cgroups::of_workers(&group).map_err(|e| Error::Host(e.to_string()));
    let outcome = cgroups.as_ref().map_err(Error::clone);
    let outcome = outcome.and_then(|cgroups| supervise(&control, cgroups, &name, tasks));
    let outcome = outcome.unwrap_or_else(Outcome::Failed);
    let _ = serde_json::to_vec(&outcome).map(|text| (&control).write_all(&text));
    drop(control);
    // All processes inside have exited.
    let _ = cgroups.map(|cgroups| cgroups.remove(&name));
    std::process::exit(0)
}

fn supervise(control: &UnixStream, cgroups: &Cgroups, name: &str, tasks: &Tasks) -> Result<Outcome, Error> {
    let inside = Inside::start(control, cgroups, name, tasks)?;
    let memory = cgroups.watch_memory(name);
    let (order, lines) = message::receive(control).map_err(Error::host("parse the input"))?;
    let limits = order.limits;
    let groups = dyno::Limits {
        memory_bytes: limits.memory_bytes,
        memory_max_bytes: limits.memory_bytes,
        // And init itself.
        pids: limits.processes + 1,
        ..dyno::Limits::default()
    };
    cgroups.create(name, &groups).map_err(Error::host("limit the worker's groups"))?;
    message::send(&inside.orders, &order, &lines)?;
    drop(lines);
    let outcome = listen(control, &inside.reader, &limits).and_then(|reports| {
        drop(inside);
        outcome(&reports, &limits)
    });
    match (outcome, memory.and_then(|memory| memory.shortage())) {
        (Err(Error::TooLong { limit }), _) => Err(Error::TooLong { limit }),
        (_, Some(Shortage::Own)) => Err(Error::TooMuchMemory { bytes: limits.memory_bytes }),
        (_, Some(Shortage::Shared)) => Err(Error::Crowded),
        (outcome, None) => outcome,
    }
}

/// The processes inside. Dropping it kills them.
struct Inside {
    pid: i32,
    /// The socket on which init waits for its order.
    orders: UnixStream,
    reader: File,
    /// Init exits when this is closed.
    _alive: OwnedFd,
}

impl Inside {
    /// Creates the group and the namespaces, with init in them.
    fn start(control: &UnixStream, cgroups: &Cgroups, name: &str, tasks: &Tasks) -> Result<Inside, Error> {
        let procs =
            cgroups.create(name, &dyno::Limits::default()).map_err(Error::host("create the worker's groups"))?.files();
        let network = File::open("/proc/self/ns/net").map_err(Error::host("open the host's network namespace"))?;
        let pipe = || io::pipe().map_err(Error::host("create a pipe"));
        let ((reader, report), (alive, held)) = (pipe()?, pipe()?);
        let (orders, init) = UnixStream::pair().map_err(Error::host("create a socket"))?;
        // SAFETY: this process has one thread, so the child may do anything.
        let pid = unsafe { libc::syscall(libc::SYS_clone, NAMESPACES | libc::SIGCHLD, 0, 0, 0, 0) } as i32;
        if pid < 0 {
            return Err(Error::host("create the worker's namespaces")(io::Error::last_os_error()));
        }
        if pid == 0 {
            // SAFETY: the child never returns to code that would use it.
            unsafe { libc::close(control.as_raw_fd()) };
            drop((reader, held, orders));
            inside::run(
                inside::Lines { orders: init, report: report.into(), alive: alive.into(), network },
                &procs,
                tasks,
            );
        }
        Ok(Inside { pid, orders, reader: OwnedFd::from(reader).into(), _alive: held.into() })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // SAFETY: the child has not been waited for, so its pid has not been reused.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, &mut 0, 0);
        }
    }
}

/// Reads the reports from inside until all processes there have exited, or must be killed.
fn listen(control: &UnixStream, mut reader: &File, limits: &Limits) -> Result<Vec<u8>, Error> {
    let deadline = Instant::now() + limits.time;
    let (mut reports, mut part) = (Vec::new(), [0; 16 << 10]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TooLong { limit: limits.time });
        }
        let wait = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let mut polled =
            [PollFd::new(reader.as_fd(), PollFlags::POLLIN), PollFd::new(control.as_fd(), PollFlags::empty())];
        match poll(&mut polled, wait) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(Error::host("read from the worker")(e.into())),
        }
        let (inside, server) = (polled[0].any() == Some(true), polled[1].any() == Some(true));
        if server {
            return Err(Error::Host("The caller has disconnected.".to_owned()));
        }
        if inside {
            match reader.read(&mut part).map_err(Error::host("read from the worker"))? {
                0 => return Ok(reports),
                n => reports.extend_from_slice(&part[..n]),
            }
        }
        if reports.len() > MOST_BYTES {
            return Err(Error::TooLarge { bytes: MOST_BYTES as u64 });
        }
    }
}

/// The outcome of the reports. They are lines; the last one about the end counts.
fn outcome(reports: &[u8], limits: &Limits) -> Result<Outcome, Error> {
    let mut answer = None;
    for line in reports.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line).map_err(|e| Error::host("parse the worker's output")(e.into()))? {
            Report::Trouble(sentence) => return Err(Error::Host(sentence)),
            Report::Answer(text) => answer = Some(text),
            Report::Ended(status) if libc::WIFSIGNALED(status) => {
                return Err(match libc::WTERMSIG(status) {
                    libc::SIGXCPU => Error::TooLong { limit: limits.cpu },
                    libc::SIGXFSZ => Error::TooLarge { bytes: limits.file_bytes },
                    signal => Error::Died { signal },
                });
            }
            Report::Ended(status) => {
                let code = libc::WEXITSTATUS(status);
                return Ok(answer.filter(|_| code == 0).map_or(Outcome::Ended(code), Outcome::Answer));
            }
        }
    }
    Err(Error::Died { signal: libc::SIGKILL })
}
