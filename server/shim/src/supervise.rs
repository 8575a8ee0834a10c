//! The life of a shim, from its start by the driver to the end of its dyno.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use crate::cgroups::{Cgroups, Forked, Shortage};
use crate::pipe::Pipe;
use crate::reap::reap;
use crate::sentence::{Sentence, doing};
use crate::{Ended, Lease, Order, StateDir, Worth, disk, exit, init, network, output};

/// The message of a shim to its driver when it has started.
pub const TAKEN_OVER: &[u8] = b"taken over\n";

/// Runs a shim to its end. `args` are the word `dyno`, for those who list the processes, and the state directory. To be
/// called before any thread exists.
///
/// Only a driver can start one: it hands over the lock of the state directory as standard input.
pub fn main(args: &[OsString]) -> ! {
    // SAFETY: plain system calls. Files that a shim creates on the host are accessible to root alone; descriptors
    // inherited from the server are not for a dyno, and of ours only the three passed by the driver are open yet.
    unsafe {
        libc::umask(0o077);
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0);
    }
    let state = match args {
        [role, dir] if role == "dyno" => StateDir::new(dir),
        _ => fail("This program supervises a dyno. It is started by the server, not manually."),
    };
    let (lock, driver) = match take_over(&state) {
        Ok(both) => both,
        Err(sentence) => fail(&sentence),
    };
    let begun = begin(&state);
    if let Err(e) = state.write_pid() {
        fail(&doing("write shim.pid")(e));
    }
    let (cgroups, ended) = match begun {
        Ok((order, cgroups)) => {
            let ended = supervise(&state, &driver, order, &cgroups);
            (Some(cgroups), ended)
        }
        Err(sentence) => (None, Err(sentence)),
    };
    let ended = ended.unwrap_or_else(Ended::of_error);
    // The file still exists if the command could not be started.
    let _ = state.forget_order();
    if let Err(e) = state.write_ended(&ended) {
        eprintln!("{}", doing("record the exit")(e));
    }
    // Closed only now, so that a driver that gets no message finds the exit recorded.
    drop(driver);
    if let Some(cgroups) = cgroups {
        clean_up(&state, &cgroups);
    }
    drop(lock);
    std::process::exit(0)
}

fn fail(sentence: &str) -> ! {
    eprintln!("{sentence}");
    std::process::exit(1)
}

/// Returns the lock and the pipe to the driver.
fn take_over(state: &StateDir) -> Result<(File, File), Sentence> {
    let lock = take_descriptor(0).map_err(doing("take over the lock"))?;
    let driver = take_descriptor(1).map_err(doing("take over the pipe to the driver"))?;
    let is_the_lock = match (lock.metadata(), fs::metadata(state.lock_path())) {
        (Ok(given), Ok(meant)) => (given.dev(), given.ino()) == (meant.dev(), meant.ino()),
        _ => false,
    };
    match is_the_lock {
        true => Ok((lock, driver)),
        false => Err("A shim is started by the server, which passes it the dyno's lock.".to_owned()),
    }
}

/// Reads the order, and detaches this process from its parent, session and groups, also if that fails.
fn begin(state: &StateDir) -> Result<(Order, Cgroups), Sentence> {
    let found = (|| -> Result<_, Sentence> {
        let order = state.order().map_err(doing("read spec.json"))?;
        let cgroups = Cgroups::of_dynos(&order.group).map_err(|e| e.to_string())?;
        let doors = cgroups.shims().and_then(|doors| doors.open()).map_err(doing("create the shims' cgroup"))?;
        Ok((order, cgroups, doors))
    })();
    let forked = match &found {
        Ok((.., doors)) => doors.fork(),
        // SAFETY: this process has one thread.
        Err(_) => match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => Ok(Forked::Child(Ok(()))),
            pid => Ok(Forked::Parent(pid)),
        },
    };
    let entered = match forked {
        // SAFETY: plain system call; the parent ends without running anything else.
        Ok(Forked::Parent(_)) => unsafe { libc::_exit(0) },
        Ok(Forked::Child(entered)) => entered.map_err(doing("enter the shims' cgroup")),
        Err(e) => Err(doing("detach from the server")(e)),
    };
    // SAFETY: plain system call.
    unsafe { libc::setsid() };
    let (order, cgroups, _) = found?;
    entered.map(|()| (order, cgroups))
}

/// Moves a standard descriptor to a number that is not inherited, and replaces it with /dev/null.
fn take_descriptor(number: i32) -> io::Result<File> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: both are open; the copy is owned by nobody else.
    unsafe {
        let copy = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        if copy < 0 || libc::dup2(null.as_raw_fd(), number) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(copy))
    }
}

/// Starts the command and waits until all processes inside have exited.
fn supervise(state: &StateDir, driver: &File, order: Order, cgroups: &Cgroups) -> Result<Ended, Sentence> {
    Worth::Shim.claim();
    let disk = disk::begin(state).map_err(doing("start mounting the dyno's disk"))?;
    let (id, uid, time) = (order.id.clone(), order.uid, order.time);
    let lease = network::lease(&order.network, state).map_err(doing("lease an address"))?;
    let network = network::enter().map_err(doing("create the network namespace"))?;
    let doors = cgroups.create(&id, &order.limits).map_err(doing("create the dyno's cgroups"))?;
    let memory = cgroups.watch_memory(&id);

    let stdout = Pipe::for_output(uid).map_err(doing("create a pipe"))?;
    let stderr = Pipe::for_output(uid).map_err(doing("create a pipe"))?;
    let ready = Pipe::new().map_err(doing("create a pipe"))?;
    let ended = Pipe::new().map_err(doing("create a pipe"))?;
    let alive = Pipe::new().map_err(doing("create a pipe"))?;
    let complete = Pipe::new().map_err(doing("create a pipe"))?;
    let plan = init::Plan::new(state, order, lease.address, doors)?;

    // SAFETY: this process has one thread, so the child may do anything.
    let pid = unsafe { libc::syscall(libc::SYS_clone, init::NAMESPACES, 0, 0, 0, 0) } as i32;
    if pid < 0 {
        return Err(doing("create the namespaces")(io::Error::last_os_error()));
    }
    if pid == 0 {
        drop((stdout.reader, stderr.reader, ready.reader, ended.reader, alive.writer, complete.writer));
        // Otherwise the shim would wait for the end of its copies of the pipe.
        drop(disk);
        init::run(
            plan,
            init::Lines {
                stdout: stdout.writer,
                stderr: stderr.writer,
                ready: ready.writer,
                ended: ended.writer,
                alive: alive.reader,
                complete: complete.reader,
            },
        );
    }
    drop((stdout.writer, stderr.writer, ready.writer, ended.writer, alive.reader, complete.reader, plan));
    let disk = match finish(network, &lease, disk, complete.writer) {
        Ok(disk) => disk,
        Err(sentence) => {
            // Init exits when it is told nothing.
            reap(pid);
            return Err(sentence);
        }
    };
    let started = wait_until_ready(ready.reader);
    if started.is_ok() {
        state.forget_order().map_err(doing("remove spec.json"))?;
        report(driver);
        let deadline = time.map(|time| output::Deadline { init: pid, time });
        let watched = output::Watched { disk: disk.map(File::from), deadline };
        output::spool(state, &stdout.reader, &stderr.reader, watched)?;
    }
    reap(pid);
    started?;
    Ok(exit_of(ended.reader, memory.and_then(|memory| memory.shortage())))
}

/// Sets up what init does not need at first, while that sets up the root: the network and the disk. Tells it where the
/// disk is, and returns it.
fn finish(
    network: network::Namespace,
    lease: &Lease,
    disk: Option<disk::Making>,
    complete: OwnedFd,
) -> Result<Option<OwnedFd>, Sentence> {
    network.connect(lease).map_err(doing("create the network namespace"))?;
    let disk = disk.map(disk::Making::finish).transpose().map_err(doing("mount the dyno's disk"))?;
    let place = match &disk {
        // As init finds it before it has a /proc of its own.
        Some(disk) => format!("/proc/{}/fd/{}", std::process::id(), disk.as_raw_fd()),
        None => init::NO_DISK.to_owned(),
    };
    // If init has exited, it has said why.
    let _ = File::from(complete).write_all(place.as_bytes());
    Ok(disk)
}

/// Notifies the driver, if it still exists, that the dyno has been created.
fn report(mut driver: &File) {
    let _ = driver.write_all(TAKEN_OVER);
}

/// The command is running when the pipe is closed without data; any data is an error message.
fn wait_until_ready(ready: OwnedFd) -> Result<(), Sentence> {
    let mut words = String::new();
    File::from(ready).read_to_string(&mut words).map_err(doing("read from the dyno's init"))?;
    match words.is_empty() {
        true => Ok(()),
        false => Err(words),
    }
}

/// Init sends the command's wait status before it exits. If it was killed first, so was the dyno.
fn exit_of(ended: OwnedFd, shortage: Option<Shortage>) -> Ended {
    let mut bytes = [0; 4];
    let read = File::from(ended).read_exact(&mut bytes);
    let status = match read {
        Ok(()) => i32::from_ne_bytes(bytes),
        Err(_) => libc::SIGKILL,
    };
    Ended {
        at: exit::now(),
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        oom: shortage == Some(Shortage::Own),
        crowded: shortage == Some(Shortage::Shared),
        error: None,
    }
}

/// Everything inside has exited, so the groups can be removed. The address stays allocated until the dyno is removed,
/// because the router may still use it.
fn clean_up(state: &StateDir, cgroups: &Cgroups) {
    if let Err(e) = cgroups.remove(state.name()) {
        eprintln!("{}", doing("remove the dyno's cgroups")(e));
    }
}
