//! The shim: the process that a dyno runs under, one for each. It needs nobody else to live.
//!
//! It detaches from the driver, makes groups, namespaces and network, writes the output to the
//! spool, and notes how the dyno ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, anyhow, bail};
use chrono::Utc;

use crate::cgroup::{self, Cgroup};
use crate::init::{self, Ends};
use crate::network::Cable;
use crate::output;
use crate::state::StateDir;
use crate::{Exit, Spec};

/// Runs the shim of the dyno whose directory is the only argument; `wharfd dyno STATE_DIR`. Has to
/// be called before there is a second thread.
pub fn shim_main(args: &[OsString]) -> ! {
    let code = match args {
        [dir] => match run(&StateDir::new(dir)) {
            Ok(()) => 0,
            Err(e) => {
                eprintln!("cannot run a dyno: {e:#}");
                1
            }
        },
        _ => {
            eprintln!("`dyno` is started by the server, with the directory of a dyno");
            2
        }
    };
    std::process::exit(code)
}

fn run(state: &StateDir) -> anyhow::Result<()> {
    let lock = inherit_lock(state)?;
    let spec = state.spec().context("read the dyno's spec")?.context("there is no spec: the dyno was started already")?;
    let ready = detach()?;
    fs::write(state.join("shim.pid"), std::process::id().to_string()).context("write shim.pid")?;
    cgroup::leave_service();
    let cgroup = Cgroup::new(&spec.id.to_string());
    let cable: Option<Cable> = state.read("net.json").context("read the dyno's addresses")?;
    let started = start(&spec, state, &cgroup, cable);
    state.forget_spec();
    let exit = match started {
        Ok(running) => {
            let _ = fs::write(state.join("init.pid"), running.init.to_string());
            drop(ready);
            running.follow(state, &cgroup)
        }
        Err(e) => {
            cgroup.kill_all(std::time::Duration::from_secs(5));
            let error = Some(format!("The dyno could not be started: {e:#}."));
            Exit { at: Utc::now(), code: None, signal: None, oom: false, error }
        }
    };
    state.write_exit(&exit).context("write how the dyno ended")?;
    // Whoever removes the dyno does the same again, should it not work out here.
    let _ = cgroup.remove();
    if let Some(cable) = cable {
        let _ = cable.remove();
    }
    drop(lock);
    Ok(())
}

/// The lock comes as standard input, locked already, so that at no time nobody holds it.
fn inherit_lock(state: &StateDir) -> anyhow::Result<File> {
    // SAFETY: duplicating a descriptor; the copy is ours.
    let stdin = unsafe {
        match libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) {
            -1 => bail!("standard input is closed"),
            fd => File::from(OwnedFd::from_raw_fd(fd)),
        }
    };
    let expected = fs::metadata(state.join("shim.lock")).context("find the dyno's lock")?;
    let given = stdin.metadata().context("look at standard input")?;
    if (given.dev(), given.ino()) == (expected.dev(), expected.ino()) {
        return Ok(stdin);
    }
    state.lock().context("take the dyno's lock")?.context("the dyno runs already")
}

/// Becomes a process without parent, terminal or session. Returns what the driver waits for: it is
/// closed when the dyno runs.
fn detach() -> anyhow::Result<File> {
    // SAFETY: there is one thread; descriptors are the process's own.
    unsafe {
        for _ in 0..2 {
            match libc::fork() {
                -1 => return Err(io::Error::last_os_error()).context("detach"),
                0 => libc::setsid(),
                _ => libc::_exit(0),
            };
        }
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let ready = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if ready < 0 || null < 0 || libc::dup2(null, 0) < 0 || libc::dup2(null, 1) < 0 {
            return Err(io::Error::last_os_error()).context("detach");
        }
        libc::close(null);
        std::env::set_current_dir("/").context("go to /")?;
        Ok(File::from(OwnedFd::from_raw_fd(ready)))
    }
}

/// A dyno that runs.
struct Running {
    init: i32,
    stdout: OwnedFd,
    stderr: OwnedFd,
    report: OwnedFd,
}

fn pipe() -> anyhow::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors, which are ours afterwards.
    unsafe {
        match libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) {
            0 => Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))),
            _ => Err(io::Error::last_os_error()).context("make a pipe"),
        }
    }
}

/// Starts the dyno; returns when the app's own process runs.
fn start(spec: &Spec, state: &StateDir, cgroup: &Cgroup, cable: Option<Cable>) -> anyhow::Result<Running> {
    cgroup.create(&spec.limits)?;
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let (report, report_end) = pipe()?;
    let (error, error_end) = pipe()?;
    let (go_end, go) = pipe()?;
    let ends = Ends {
        go: go_end.as_raw_fd(),
        error: error_end.as_raw_fd(),
        report: report_end.as_raw_fd(),
        stdout: stdout_end.as_raw_fd(),
        stderr: stderr_end.as_raw_fd(),
    };
    let init = clone()?;
    if init == 0 {
        init::run(spec, state, cgroup, &ends);
    }
    drop((stdout_end, stderr_end, report_end, error_end, go_end));
    cgroup.add(init)?;
    if let Some(cable) = cable {
        cable.lay(init)?;
    }
    io::Write::write_all(&mut File::from(go), b"g").context("let the dyno begin")?;
    let mut sentence = String::new();
    io::Read::read_to_string(&mut File::from(error), &mut sentence).context("hear from the dyno")?;
    if !sentence.is_empty() {
        bail!("{sentence}");
    }
    Ok(Running { init, stdout, stderr, report })
}

/// Forks into new namespaces; 0 in the child.
fn clone() -> anyhow::Result<i32> {
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET;
    // SAFETY: without a stack of its own and with one thread, this is `fork`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, (flags | libc::SIGCHLD) as u64, 0_u64, 0_u64, 0_u64, 0_u64) };
    if pid < 0 {
        return Err(anyhow!(io::Error::last_os_error())).context("make namespaces");
    }
    Ok(pid as i32)
}

impl Running {
    /// Writes the output down until the dyno has ended.
    fn follow(self, state: &StateDir, cgroup: &Cgroup) -> Exit {
        if let Err(e) = output::pump(&state.spool(), self.stdout.as_raw_fd(), self.stderr.as_raw_fd()) {
            eprintln!("cannot write the output of a dyno: {e}");
        }
        // Should the app still run, writing must fail rather than wait for us.
        drop((self.stdout, self.stderr));
        let mut init = 0_i32;
        // SAFETY: waiting for our own child.
        while unsafe { libc::waitpid(self.init, &raw mut init, 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        let mut bytes = [0; size_of::<i32>()];
        let reported = io::Read::read_exact(&mut File::from(self.report), &mut bytes);
        // Without a report the first process itself was killed, and that is how it all ended.
        let status = if reported.is_ok() { i32::from_ne_bytes(bytes) } else { init };
        Exit {
            at: Utc::now(),
            code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            oom: cgroup.oom_kills() > 0,
            error: None,
        }
    }
}
