//! The first process of a dyno: makes its world, starts the app, reaps, and says how it ended.
//!
//! Runs in the dyno's namespaces, as a copy of the shim with one thread. It ends with the app, and
//! then the kernel ends everything else in there.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;

use anyhow::{Context, bail};

use crate::cgroup::Cgroup;
use crate::state::StateDir;
use crate::{Spec, confine, etc, mounts};

/// Ends of pipes that only the first process has.
pub(crate) struct Ends {
    /// A byte comes when groups and network are ready.
    pub(crate) go: i32,
    /// A sentence, should the app not start. Closed when it has started.
    pub(crate) error: i32,
    /// How the app ended, as `wait` says it.
    pub(crate) report: i32,
    pub(crate) stdout: i32,
    pub(crate) stderr: i32,
}

/// Sources the profile scripts, then becomes the command, which is the first argument so that
/// nothing has to be quoted.
const PROFILED: &str = "wharf_command=$1; shift
for wharf_script in .profile.d/*.sh; do [ -r \"$wharf_script\" ] && . \"$wharf_script\"; done
[ -r .profile ] && . ./.profile
unset wharf_script; hash -r
exec bash -c \"$wharf_command\"";

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";


/// Never returns.
pub(crate) fn run(spec: &Spec, state: &StateDir, cgroup: &Cgroup, ends: &Ends) -> ! {
    // SAFETY: system calls of a process with one thread on descriptors that are its own.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if arrange(ends).is_err() {
            libc::_exit(125);
        }
        let mut byte = 0_u8;
        if libc::read(GO, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(125); // the shim is gone
        }
        libc::close(GO);
    }
    let app = match prepare(spec, state, cgroup).and_then(|()| start(spec)) {
        Ok(pid) => pid,
        Err(e) => fail(&e),
    };
    reap(app)
}

/// Where the ends are after [`arrange`].
const GO: i32 = 3;
const ERROR: i32 = 4;
const REPORT: i32 = 5;
/// From here on, descriptors are closed.
const REST: u32 = 6;

/// Moves the ends to fixed places and closes everything else, the shim's lock above all.
fn arrange(ends: &Ends) -> io::Result<()> {
    let wanted = [(ends.stdout, 1), (ends.stderr, 2), (ends.go, GO), (ends.error, ERROR), (ends.report, REPORT)];
    let check = |result: i32| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) };
    // SAFETY: duplicating and closing descriptors of this process.
    unsafe {
        // First out of the way of each other.
        let mut moved = [0; 5];
        for (place, (end, _)) in moved.iter_mut().zip(wanted) {
            *place = check(libc::fcntl(end, libc::F_DUPFD_CLOEXEC, 100))?;
        }
        for (from, (_, to)) in moved.iter().zip(wanted) {
            check(libc::dup3(*from, to, if to > 2 { libc::O_CLOEXEC } else { 0 }))?;
        }
        libc::syscall(libc::SYS_close_range, REST, u32::MAX, 0_u32);
    }
    Ok(())
}

/// Hands the reason to the shim.
fn fail(error: &anyhow::Error) -> ! {
    let text = format!("{error:#}");
    // SAFETY: writing from a buffer that lives long enough.
    unsafe {
        libc::write(ERROR, text.as_ptr().cast(), text.len());
        libc::_exit(125)
    }
}

fn prepare(spec: &Spec, state: &StateDir, cgroup: &Cgroup) -> anyhow::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP).context("hide the cgroups")?;
    nix::unistd::sethostname(etc::hostname(spec)).context("set the host name")?;
    // When the host itself runs out of memory, apps go before the platform.
    let _ = fs::write("/proc/self/oom_score_adj", "300");
    mounts::enter(spec, state, cgroup)?;
    confine::confine(spec.uid)?;
    // SAFETY: plain system calls.
    unsafe {
        // Changing the user has cleared it.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        let mut poll = libc::pollfd { fd: ERROR, events: 0, revents: 0 };
        if libc::poll(&raw mut poll, 1, 0) > 0 && poll.revents & libc::POLLERR != 0 {
            bail!("the shim is gone");
        }
    }
    Ok(())
}

/// Starts the app; returns its process id.
fn start(spec: &Spec) -> anyhow::Result<i32> {
    let args: Vec<&str> = match spec.raw {
        true => vec!["sh", "-c", &spec.command],
        false => vec!["bash", "-c", PROFILED, "bash", &spec.command],
    };
    let program = if spec.raw { c"/bin/sh" } else { c"/bin/bash" };
    let args = strings(args.into_iter().map(str::to_owned)).context("use a command with a NUL")?;
    let env = environment(spec).into_iter().map(|(key, value)| format!("{key}={value}"));
    let env = strings(env).context("use a variable with a NUL")?;
    let (argv, envp) = (pointers(&args), pointers(&env));
    // SAFETY: one thread; parent and child go separate ways at once.
    unsafe {
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()).context("start the app's process"),
            0 => {
                let error = become_app(program, &argv, &envp);
                fail(&anyhow::Error::new(error).context(format!("start {}", program.to_string_lossy())))
            }
            pid => Ok(pid),
        }
    }
}

/// Returns only when it does not work out.
///
/// # Safety
/// The pointers have to be null-terminated lists of strings.
unsafe fn become_app(program: &std::ffi::CStr, argv: &[*const libc::c_char], envp: &[*const libc::c_char]) -> io::Error {
    // SAFETY: system calls; the caller vouches for the lists.
    unsafe {
        libc::setsid();
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::umask(0o022);
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
        if libc::chdir(c"/app".as_ptr()) == 0 {
            libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr());
        }
    }
    io::Error::last_os_error()
}

/// Waits for the app, and for whatever it leaves orphaned.
fn reap(app: i32) -> ! {
    // SAFETY: system calls on the process's own descriptors and children.
    unsafe {
        // Else readers of the app's output would wait for this process too.
        libc::close(ERROR);
        libc::close(1);
        libc::close(2);
        loop {
            let mut status = 0_i32;
            let pid = libc::waitpid(-1, &raw mut status, 0);
            if pid == app {
                libc::write(REPORT, (&raw const status).cast(), size_of::<i32>());
                libc::_exit(0);
            }
            if pid < 0 && *libc::__errno_location() != libc::EINTR {
                libc::_exit(125);
            }
        }
    }
}

/// What the app is told.
fn environment(spec: &Spec) -> BTreeMap<String, String> {
    let mut env = spec.env.clone();
    for (key, value) in [("PATH", PATH.to_owned()), ("LANG", "C.UTF-8".to_owned())] {
        env.entry(key.to_owned()).or_insert(value);
    }
    env.insert("HOME".to_owned(), "/app".to_owned());
    env.insert("USER".to_owned(), etc::user(spec.uid));
    env.insert("DYNO".to_owned(), spec.name.clone());
    if let Some(port) = spec.port {
        env.insert("PORT".to_owned(), port.to_string());
    }
    env
}

fn strings(list: impl Iterator<Item = String>) -> anyhow::Result<Vec<CString>> {
    list.map(|text| Ok(CString::new(text)?)).collect()
}

fn pointers(list: &[CString]) -> Vec<*const libc::c_char> {
    list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}
