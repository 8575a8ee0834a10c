//! PID 1 inside the dyno, and the command, its child.
//!
//! Init reaps orphans, reports how the command ended, and exits when nothing is left inside. The shim kills it with what is
//! left when the command ends, unless the dyno is being stopped. It forwards no signals: the driver sends them
//! to every process of the dyno itself. Because the command is not PID 1, an unhandled signal has its default effect.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::ptr;

use super::{Sentence, confine, console, doing, root};
use crate::Worth;
use crate::addresses::Lease;
use crate::state::{Order, StateDir};

/// The namespaces that init is cloned into. The network namespace is the shim's; the cgroup namespace is created once
/// the command has entered its groups.
pub(super) const NAMESPACES: i32 =
    libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::SIGCHLD;

/// Sources the profile scripts and becomes bash with the command. The command is kept in a variable
/// because a sourced script may change the positional parameters.
const LAUNCH: &str = r#"__command=$1
for __script in .profile.d/*.sh; do [ -r "$__script" ] && . "$__script"; done
[ -r .profile ] && . ./.profile
unset __script
exec bash --noprofile --norc -c "$__command""#;

/// Everything that init needs, prepared while errors are still easy to report.
pub(super) struct Plan {
    root: root::Root,
    hostname: String,
    uid: u32,
    cgroups: Vec<PathBuf>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    filters: confine::Filters,
}

/// The ends of the pipes that are used inside.
pub(super) struct Lines {
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
}

impl Plan {
    /// `disk` is the mount of the dyno's own disk, if it has one.
    pub fn new(
        state: &StateDir,
        order: Order,
        lease: Lease,
        cgroups: Vec<PathBuf>,
        disk: Option<OwnedFd>,
    ) -> Result<Plan, Sentence> {
        let spec = order.spec;
        let hostname = spec.id.to_string();
        let words = match spec.raw {
            true => ["/bin/sh", "-c", &spec.command].map(str::to_owned).to_vec(),
            false => launch(&spec.command),
        };
        let memory = spec.limits.memory_bytes >> 20;
        let environment = environment(spec.env, &spec.name, spec.port, memory);
        Ok(Plan {
            root: root::Root::new(state, disk, spec.root, spec.uid, lease.address, &hostname)?,
            hostname,
            uid: spec.uid,
            cgroups,
            arguments: c_strings(words)?,
            environment: c_strings(environment.into_iter().map(|(k, v)| format!("{k}={v}")))?,
            filters: confine::Filters::new()?,
        })
    }
}

/// The arguments that run a command as in a dyno: after the profile scripts.
pub(super) fn launch(command: &str) -> Vec<String> {
    ["/bin/bash", "--noprofile", "--norc", "-c", LAUNCH, "bash", command].map(str::to_owned).to_vec()
}

/// `memory` is the quota in MB. The hard limit, which a program could read, is far above it.
pub(super) fn environment(
    mut env: BTreeMap<String, String>,
    name: &str,
    port: Option<u16>,
    memory: u64,
) -> BTreeMap<String, String> {
    let defaults = [("HOME", "/app"), ("PATH", "/usr/local/bin:/usr/bin:/bin"), ("USER", "wharf"), ("LANG", "C.UTF-8")];
    for (key, value) in defaults {
        env.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    env.entry("MEMORY_AVAILABLE".to_owned()).or_insert_with(|| memory.to_string());
    env.insert("DYNO".to_owned(), name.to_owned());
    if let Some(port) = port {
        env.insert("PORT".to_owned(), port.to_string());
    }
    env
}

pub(super) fn c_strings(words: impl IntoIterator<Item = String>) -> Result<Vec<CString>, Sentence> {
    let words = words.into_iter().map(CString::new);
    words
        .collect::<Result<_, _>>()
        .map_err(|_| "The command or a config var contains a NUL character, which is not allowed.".to_owned())
}

/// Runs as PID 1 of the new namespaces and never returns.
pub(super) fn run(plan: Plan, lines: Lines) -> ! {
    let mut ready = File::from(lines.ready.try_clone().unwrap_or_else(|_| exit(1)));
    let command = prepare(&plan).and_then(|cgroups| {
        // SAFETY: this process has one thread.
        match unsafe { libc::fork() } {
            -1 => Err(doing("fork the command")(io::Error::last_os_error())),
            0 => become_command(&plan, &lines, &cgroups, &mut ready),
            pid => Ok(pid),
        }
    });
    let confined = command.and_then(|pid| {
        confine::drop_rights(plan.uid)?;
        confine::die_with_parent(&lines.alive)?;
        plan.filters.apply()?;
        Ok(pid)
    });
    match confined {
        Ok(pid) => {
            drop((ready, lines.ready, lines.stdout, lines.stderr, lines.console));
            close_others(lines.ended.as_raw_fd());
            wait_for(pid, File::from(lines.ended))
        }
        Err(sentence) => {
            let _ = ready.write_all(sentence.as_bytes());
            exit(1)
        }
    }
}

/// Sets up the file system and opens the entry files of the command's groups, which are not visible afterwards.
fn prepare(plan: &Plan) -> Result<Vec<File>, Sentence> {
    // SAFETY: plain system call. Files created from here on must be visible to the dyno's user.
    unsafe { libc::umask(0o022) };
    let cgroups: Result<Vec<File>, _> =
        plan.cgroups.iter().map(|file| OpenOptions::new().write(true).open(file)).collect();
    let cgroups = cgroups.map_err(doing("open the dyno's cgroups"))?;
    plan.root.enter()?;
    nix::unistd::sethostname(&plan.hostname).map_err(|e| doing("set the host name")(e.into()))?;
    Ok(cgroups)
}

fn become_command(plan: &Plan, lines: &Lines, cgroups: &[File], ready: &mut File) -> ! {
    let sentence = match execute(plan, lines, cgroups) {
        Ok(never) => match never {},
        Err(sentence) => sentence,
    };
    let _ = ready.write_all(sentence.as_bytes());
    exit(1)
}

/// The type has no values.
pub(super) enum Never {}

fn execute(plan: &Plan, lines: &Lines, cgroups: &[File]) -> Result<Never, Sentence> {
    for mut file in cgroups {
        file.write_all(b"0").map_err(doing("enter the dyno's cgroups"))?;
    }
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
pub(super) fn become_program(
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
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: plain system call.
    unsafe { libc::_exit(code) }
}
