//! The process between the server and what is inside: `wharfd worker`.
//!
//! It is root, touches nothing that a stranger made, and has one thread. It makes the group and the
//! namespaces, and stays until all inside are gone: because the work ended, because its time was
//! up, or because the server closed its end of the socket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use dyno::confine::Cgroups;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::inside::{self, Plan, Report};
use crate::message::{self, Files, Message, Outcome};
use crate::{Errands, Error, Limits, Network};

/// What is inside can say no more than this.
const MOST_BYTES: usize = 4 << 20;
const NAMESPACES: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;

/// Runs a supervisor to its end. To be called before any thread exists.
///
/// Only [`Workers`](crate::Workers) can start one: it hands over a socket as standard input.
pub fn main(errands: &Errands) -> ! {
    // SAFETY: plain system calls; standard input is open or the copy fails.
    let control = unsafe {
        libc::umask(0o077);
        let copy = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3);
        (copy >= 0).then(|| UnixStream::from(OwnedFd::from_raw_fd(copy)))
    };
    let Some(control) = control.filter(|control| control.peer_addr().is_ok()) else {
        eprintln!("A worker is started by the server, not by hand.");
        std::process::exit(1)
    };
    let outcome = match message::receive(&control) {
        Ok((message, files)) => supervise(&control, message, files, errands).unwrap_or_else(Outcome::Failed),
        Err(e) => Outcome::Failed(Error::host("understand the order")(e)),
    };
    let _ = serde_json::to_vec(&outcome).map(|text| (&control).write_all(&text));
    std::process::exit(0)
}

fn supervise(control: &UnixStream, message: Message, files: Files, errands: &Errands) -> Result<Outcome, Error> {
    let cgroups = Cgroups::find().map_err(|e| Error::Host(e.to_string()))?;
    let limits = message.order.limits;
    let groups = dyno::Limits {
        memory_bytes: limits.memory_bytes,
        memory_max_bytes: limits.memory_bytes,
        pids: limits.processes,
        ..dyno::Limits::default()
    };
    let doors = cgroups.create(&message.name, &groups).map_err(Error::host("make the worker's groups"))?;
    let outcome = run(control, &message, files, doors, errands);
    let killed = cgroups.oom_kills(&message.name) > 0;
    // Nobody is inside any more.
    let removed = cgroups.remove(&message.name);
    match outcome {
        Err(Error::TooLong { limit }) => Err(Error::TooLong { limit }),
        _ if killed => Err(Error::TooMuchMemory { bytes: limits.memory_bytes }),
        outcome => removed.map_err(Error::host("remove the worker's groups")).and(outcome),
    }
}

fn run(
    control: &UnixStream,
    message: &Message,
    files: Files,
    doors: Vec<std::path::PathBuf>,
    errands: &Errands,
) -> Result<Outcome, Error> {
    let pipe = || io::pipe().map_err(Error::host("make a pipe"));
    let ((heard, report), (alive, held)) = (pipe()?, pipe()?);
    let plan = Plan::new(message, doors).map_err(Error::Host)?;
    let mut flags = NAMESPACES | libc::SIGCHLD;
    if message.order.network == Network::None {
        flags |= libc::CLONE_NEWNET;
    }
    // SAFETY: this process has one thread, so the child may do anything.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32;
    if pid < 0 {
        return Err(Error::host("make the worker's namespaces")(io::Error::last_os_error()));
    }
    if pid == 0 {
        drop((heard, held));
        inside::run(&plan, files, report.into(), &alive.into(), errands);
    }
    drop((report, alive, files));
    let said = listen(control, heard.into(), &message.order.limits);
    // SAFETY: the child has not been waited for, so that the number is still its.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, &mut 0, 0);
    }
    drop(held);
    outcome(&said?, &message.order.limits)
}

/// Hears what is said inside until all there have ended, or have to.
fn listen(control: &UnixStream, heard: OwnedFd, limits: &Limits) -> Result<Vec<u8>, Error> {
    let deadline = Instant::now() + limits.time;
    let (mut heard, mut said, mut part) = (File::from(heard), Vec::new(), [0; 16 << 10]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TooLong { limit: limits.time });
        }
        let wait = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let mut polled =
            [PollFd::new(heard.as_fd(), PollFlags::POLLIN), PollFd::new(control.as_fd(), PollFlags::empty())];
        match poll(&mut polled, wait) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(Error::host("listen to the worker")(e.into())),
        }
        let (inside, server) = (polled[0].any() == Some(true), polled[1].any() == Some(true));
        if server {
            return Err(Error::Host("Nobody waits for it any more.".to_owned()));
        }
        if inside {
            match heard.read(&mut part).map_err(Error::host("listen to the worker"))? {
                0 => return Ok(said),
                n => said.extend_from_slice(&part[..n]),
            }
        }
        if said.len() > MOST_BYTES {
            return Err(Error::TooLarge { bytes: MOST_BYTES as u64 });
        }
    }
}

/// What the reports come to. They are lines; the last one that says how it ended counts.
fn outcome(said: &[u8], limits: &Limits) -> Result<Outcome, Error> {
    let mut answer = None;
    for line in said.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line).map_err(|e| Error::host("understand the worker")(e.into()))? {
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
