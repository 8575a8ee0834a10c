//! The life of a shim, from its start by the driver to the end of its dyno.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use crate::attached::Attached;
use crate::cgroups::{Cgroups, Forked};
use crate::console::Console;
use crate::pipe::Pipe;
use crate::reap::reap;
use crate::sentence::{Sentence, doing, fail};
use crate::{Ended, Lease, Order, StateDir, Worth, descriptors, disk, exec, init, network, output};

/// The message of a shim to its driver when it has started.
pub const TAKEN_OVER: &[u8] = b"taken over\n";

/// Runs a shim to its end. `args` are the word `dyno`, for those who list the processes, and the state directory. To be
/// called before any thread exists.
///
/// Only a driver can start one: it hands over the lock of the state directory as standard input. With the word `exec`
/// in place of the directory, it runs a further process in a dyno instead: see the file `exec.rs`.
pub fn main(args: &[OsString]) -> ! {
    if let [role, word] = args
        && role == "dyno"
        && word == "exec"
    {
        exec::main();
    }
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

/// Returns the lock and the pipe to the driver.
fn take_over(state: &StateDir) -> Result<(File, File), Sentence> {
    let lock = descriptors::take(0).map_err(doing("take over the lock"))?;
    let driver = descriptors::take(1).map_err(doing("take over the pipe to the driver"))?;
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
        let entry_files =
            cgroups.shims().and_then(|entry_files| entry_files.open()).map_err(doing("create the shims' cgroup"))?;
        Ok((order, cgroups, entry_files))
    })();
    let forked = match &found {
        Ok((.., entry_files)) => entry_files.fork(),
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

/// Starts the command and waits until all processes inside have exited.
fn supervise(state: &StateDir, driver: &File, order: Order, cgroups: &Cgroups) -> Result<Ended, Sentence> {
    Worth::Shim.claim();
    let disk = disk::begin(state).map_err(doing("start mounting the dyno's disk"))?;
    let (id, uid, time, terminal) = (order.id.clone(), order.uid, order.time, order.terminal);
    let lease = network::lease(&order.network, state).map_err(doing("lease an address"))?;
    let network = network::enter().map_err(doing("create the network namespace"))?;
    let entry_files = cgroups.create(&id, &order.limits).map_err(doing("create the dyno's cgroups"))?;
    let memory = cgroups.watch_memory(&id);

    let (console, inside) = match terminal {
        Some(terminal) => {
            let (console, inside) =
                Console::listen(state.path(), terminal, uid).map_err(doing("open the dyno's terminal"))?;
            (Some(console), Some(inside))
        }
        None => (None, None),
    };
    let stdout = Pipe::for_output(uid).map_err(doing("create a pipe"))?;
    let stderr = Pipe::for_output(uid).map_err(doing("create a pipe"))?;
    let ready = Pipe::new().map_err(doing("create a pipe"))?;
    let ended = Pipe::new().map_err(doing("create a pipe"))?;
    let alive = Pipe::new().map_err(doing("create a pipe"))?;
    let complete = Pipe::new().map_err(doing("create a pipe"))?;
    let plan = init::Plan::new(state, order, lease.address, entry_files)?;

    // SAFETY: this process has one thread, so the child may do anything.
    let pid = unsafe { libc::syscall(libc::SYS_clone, init::NAMESPACES, 0, 0, 0, 0) } as i32;
    if pid < 0 {
        return Err(doing("create the namespaces")(io::Error::last_os_error()));
    }
    if pid == 0 {
        drop((stdout.reader, stderr.reader, ready.reader, ended.reader, alive.writer, complete.writer, console));
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
                console: inside,
                complete: complete.reader,
            },
        );
    }
    drop((stdout.writer, stderr.writer, ready.writer, ended.writer, alive.reader, complete.reader, inside, plan));
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
        let deadline = time.map(|time| output::Deadline { time });
        let watched = output::Watched { disk: disk.map(File::from), deadline, init: pid, ended: &ended.reader };
        match console {
            None => output::spool(state, &stdout.reader, &stderr.reader, watched)?,
            Some(console) => {
                let session = console.open(stdout.reader, stderr.reader).map_err(doing("open the dyno's terminal"))?;
                return Attached::new(state, watched, cgroups, memory.as_ref())?.serve(session);
            }
        }
    }
    reap(pid);
    started?;
    Ok(Ended::of_command(&ended.reader, memory.and_then(|memory| memory.shortage())))
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

/// Everything inside has exited, so the groups can be removed. The address stays allocated until the dyno is removed,
/// because the router may still use it.
fn clean_up(state: &StateDir, cgroups: &Cgroups) {
    if let Err(e) = cgroups.remove(state.name()) {
        eprintln!("{}", doing("remove the dyno's cgroups")(e));
    }
}
