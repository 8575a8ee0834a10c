//! A supervised process: a child, or one left by an earlier `wharfd up`.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{fs::MetadataExt, process::ExitStatusExt},
    },
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::unix::AsyncFd,
    process::{Child, Command},
    time::{Instant, timeout},
};

/// A supervised process.
pub enum Process {
    /// Started by us.
    Child(Child, i32),
    /// Adopted: its parent has exited.
    Taken(AsyncFd<OwnedFd>, i32),
}

impl Process {
    /// Starts `command` in its own session, so that it is not affected by our terminal or our
    /// end.
    pub fn spawn(mut command: Command) -> Result<Process> {
        let own_session = || nix::unistd::setsid().map(|_| ()).map_err(io::Error::from);
        // SAFETY: setsid(2) may be called between fork and exec, and nothing else is.
        unsafe { command.pre_exec(own_session) };
        let program = command.as_std().get_program().to_owned();
        let child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let pid = child.id().context("start a process, which exited immediately")?;
        Ok(Process::Child(child, pid as i32))
    }

    /// Adopts a running process. Fails if there is none.
    pub fn take_up(pid: i32) -> Result<Process> {
        // SAFETY: the call takes two numbers; a returned descriptor is owned by nobody else.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error()).with_context(|| format!("adopt process {pid}"));
            }
            OwnedFd::from_raw_fd(fd as i32)
        };
        // SAFETY: an OwnedFd stays open and the same for as long as it lives.
        let watched = unsafe { AsyncFd::register(fd) };
        Ok(Process::Taken(watched.with_context(|| format!("watch process {pid}"))?, pid))
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        match self {
            Process::Child(_, pid) | Process::Taken(_, pid) => *pid,
        }
    }

    /// Waits until it has exited. The status is known only for children.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        match self {
            Process::Child(child, _) => child.wait().await.ok(),
            Process::Taken(fd, _) => {
                let _ = fd.readable().await;
                None
            }
        }
    }

    /// Sends it a signal; does nothing if it has exited.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let sent = match self {
            // Not reaped yet, so the pid cannot have been reused.
            Process::Child(child, pid) if child.id().is_some() => kill(Pid::from_raw(*pid), signal),
            Process::Child(..) => Ok(()),
            Process::Taken(fd, _) => {
                // SAFETY: a valid descriptor, a signal number, no siginfo, no flags.
                let done = unsafe {
                    libc::syscall(
                        libc::SYS_pidfd_send_signal,
                        fd.get_ref().as_raw_fd(),
                        signal as libc::c_int,
                        std::ptr::null::<libc::siginfo_t>(),
                        0,
                    )
                };
                Errno::result(done).map(drop)
            }
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(err) => Err(err).with_context(|| format!("send {signal} to process {}", self.pid())),
        }
    }

    /// Sends it `signal`, and `last` if it has not exited after `grace`.
    pub async fn stop(&mut self, signal: Signal, grace: Duration, last: Signal) -> Result<()> {
        self.signal(signal)?;
        if timeout(grace, self.wait()).await.is_ok() {
            return Ok(());
        }
        self.signal(last)?;
        match timeout(Duration::from_secs(10), self.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("process {} does not exit; see what it waits for: cat /proc/{0}/stack", self.pid()),
        }
    }
}

/// A description of how a process ended.
pub fn ending(status: Option<ExitStatus>) -> String {
    match status.map(|s| (s.code(), s.signal())) {
        Some((Some(code), _)) => format!("exited with status {code}"),
        Some((_, Some(signal))) => format!("was killed by signal {signal}"),
        _ => "exited".to_owned(),
    }
}

/// Whether process `pid` runs the same file as we do: neither another version nor a file that has since been replaced.
pub fn runs_our_file(pid: i32) -> bool {
    let file = |who: &str| fs::metadata(format!("/proc/{who}/exe")).map(|m| (m.dev(), m.ino())).ok();
    let ours = file("self");
    ours.is_some() && ours == file(&pid.to_string())
}

/// Polls `ready` every 20 ms; `false` after `deadline`.
pub async fn wait_until(deadline: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    while !ready() {
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
