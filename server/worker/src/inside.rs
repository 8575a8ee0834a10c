//! PID 1 inside, and the work, its child.
//!
//! As in a dyno, init reaps orphans and exits with the work, which ends everything. Because the work is not PID 1, a
//! signal has its default effect on it.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::ptr;

use dyno::confine::{self, Filters};
use nix::sched::CloneFlags;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde::{Deserialize, Serialize};

use crate::root::Root;
use crate::sentence::{Sentence, doing};
use crate::{Limits, Lines as Files, Network, Order, TaskFiles, Tasks, Work, message};

/// The `PATH` of programs.
const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// Descriptors are moved above this before they get their final numbers.
const ASIDE: RawFd = 64;

/// Reports to the supervisor, as lines of JSON.
#[derive(Serialize, Deserialize)]
pub(crate) enum Report {
    /// The work could not be started.
    Trouble(Sentence),
    /// The result of the task.
    Answer(String),
    /// The end of the work; the status is wait(2)'s.
    Ended(i32),
}

/// The descriptors of init.
pub(crate) struct Lines {
    /// The socket on which the order arrives.
    pub orders: UnixStream,
    /// The pipe for reports.
    pub report: OwnedFd,
    /// Hung up when the supervisor has exited.
    pub alive: OwnedFd,
    /// The host's network.
    pub network: File,
}

/// Everything that the order needs, prepared while errors are still easy to report.
struct Plan<'a> {
    order: &'a Order,
    filters: &'static Filters,
    stricter: BpfProgram,
    /// For a program: the paths to try, arguments and environment.
    paths: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl<'a> Plan<'a> {
    fn new(order: &'a Order, filters: &'static Filters) -> Result<Plan<'a>, Sentence> {
        let (mut paths, mut arguments, mut environment) = (Vec::new(), Vec::new(), Vec::new());
        if let Work::Program(program) = &order.work {
            paths = c_strings(PATH.iter().map(|folder| format!("{folder}/{}", program.name)))?;
            arguments = c_strings([&program.name].into_iter().chain(&program.args).cloned())?;
            let path = ("PATH".to_owned(), PATH.join(":"));
            environment = c_strings(program.env.iter().chain([&path]).map(|(name, value)| format!("{name}={value}")))?;
        }
        Ok(Plan { order, filters, stricter: stricter(order.network)?, paths, arguments, environment })
    }
}

/// Denied system calls besides those of dynos: inspecting other processes, and sockets without network access.
fn stricter(network: Network) -> Result<BpfProgram, Sentence> {
    let mut calls = vec![libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev];
    if network == Network::None {
        calls.push(libc::SYS_socket);
    }
    let compile = || {
        let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        let arch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()
    };
    compile().map_err(|e: seccompiler::BackendError| format!("Could not compile the filter on system calls: {e}."))
}

fn c_strings(words: impl IntoIterator<Item = String>) -> Result<Vec<CString>, Sentence> {
    let words = words.into_iter().map(CString::new);
    words.collect::<Result<_, _>>().map_err(|_| "An argument contains a NUL character.".to_owned())
}

/// Runs as PID 1 of the new namespaces and never returns: prepares what needs no order, waits for one, and executes it.
pub(crate) fn run(lines: Lines, procs: &[PathBuf], tasks: &Tasks) -> ! {
    let ready = enter_groups(procs).and_then(|()| confine::filters());
    // Nothing arrives if the supervisor or the server has exited.
    let Ok((order, files)) = message::receive(&lines.orders) else { exit(1) };
    drop(lines.orders);
    let mut report = File::from(lines.report);
    let begun = ready.and_then(|filters| {
        let plan = Plan::new(&order, filters)?;
        let pid = begin(&plan, files, &lines.network, report.as_raw_fd(), tasks)?;
        confine::drop_rights(order.user)?;
        confine::die_with_parent(&lines.alive)?;
        plan.filters.apply()?;
        Ok(pid)
    });
    match begun {
        Ok(pid) => {
            let report = keep_only(report);
            wait_for(pid, report)
        }
        Err(sentence) => {
            say(&mut report, &Report::Trouble(sentence));
            exit(1)
        }
    }
}

/// Enters the worker's cgroups in advance, since that is slow.
fn enter_groups(procs: &[PathBuf]) -> Result<(), Sentence> {
    procs.iter().try_for_each(|file| fs::write(file, "0")).map_err(doing("enter the worker's groups"))?;
    nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|e| doing("create the cgroup namespace")(e.into()))?;
    nix::unistd::sethostname("worker").map_err(|e| doing("set the host name")(e.into()))
}

/// Sets up the file system and, if requested, the network, and forks the work.
fn begin(plan: &Plan, files: Files, network: &File, report: RawFd, tasks: &Tasks) -> Result<i32, Sentence> {
    let order = plan.order;
    if order.network == Network::Host {
        nix::sched::setns(network, CloneFlags::CLONE_NEWNET)
            .map_err(|e| doing("join the network namespace")(e.into()))?;
    }
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(|e| doing("detach from the host's mounts")(e.into()))?;
    Root { shows: &order.shows, network: order.network }.enter()?;
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(doing("fork")(io::Error::last_os_error())),
        0 => become_work(plan, files, report, tasks),
        pid => Ok(pid),
    }
}

fn become_work(plan: &Plan, files: Files, report: RawFd, tasks: &Tasks) -> ! {
    match work(plan, files, report, tasks) {
        Ok(()) => exit(0),
        Err((sentence, report)) => {
            // SAFETY: it is open, and this process exits after writing to it.
            say(&mut unsafe { File::from_raw_fd(report) }, &Report::Trouble(sentence));
            exit(1)
        }
    }
}

/// Executes the work; only returns after a task. An error comes with the pipe to report it to.
fn work(plan: &Plan, files: Files, report: RawFd, tasks: &Tasks) -> Result<(), (Sentence, RawFd)> {
    let order = plan.order;
    let count = files.more.len();
    // SAFETY: plain system calls.
    unsafe {
        libc::setsid();
        libc::umask(0o077);
    }
    dyno::Worth::Worker.claim();
    confine::reset_signals();
    let report = arrange(files, report).map_err(|e| (doing("arrange the open files")(e), report))?;
    confine_work(plan).map_err(|e| (e, report))?;
    match &order.work {
        Work::Program(program) => {
            std::env::set_current_dir(&program.folder)
                .map_err(|e| (doing("change to the working directory")(e), report))?;
            Err((execute(plan), report))
        }
        Work::Task { name, words } => {
            // SAFETY: `arrange` has duplicated them to these numbers, and nothing else uses them.
            let given = (0..count).map(|n| unsafe { File::from_raw_fd(3 + n as RawFd) }).collect();
            let answer = tasks.run(name, words.clone(), TaskFiles { files: given }).map_err(|e| (e, report))?;
            // SAFETY: as before.
            let mut report = unsafe { File::from_raw_fd(report) };
            say(&mut report, &Report::Answer(String::from_utf8_lossy(&answer).into_owned()));
            Ok(())
        }
    }
}

fn confine_work(plan: &Plan) -> Result<(), Sentence> {
    limit(&plan.order.limits)?;
    confine::drop_rights(plan.order.user)?;
    plan.filters.apply()?;
    seccompiler::apply_filter(&plan.stricter).map_err(|e| format!("Could not install the filter on system calls: {e}."))
}

/// Moves the open files to their numbers, closes all others, and returns the pipe to the supervisor, which a program
/// does not inherit.
fn arrange(files: Files, report: RawFd) -> io::Result<RawFd> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let standard = [&files.stdin, &files.stdout, &files.stderr]
        .map(|file| file.as_ref().map_or(null.as_raw_fd(), AsRawFd::as_raw_fd));
    let wanted: Vec<RawFd> =
        standard.into_iter().chain(files.more.iter().map(AsRawFd::as_raw_fd)).chain([report]).collect();
    // SAFETY: plain system calls on open descriptors; the owners of the closed ones are not used again, and are
    // forgotten below.
    unsafe {
        let aside: Vec<RawFd> = wanted.iter().map(|fd| libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, ASIDE)).collect();
        for (place, fd) in aside.iter().enumerate() {
            let last = place + 1 == aside.len();
            let flags = if last { libc::O_CLOEXEC } else { 0 };
            if *fd < 0 || libc::dup3(*fd, place as RawFd, flags) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        libc::syscall(libc::SYS_close_range, wanted.len() as u32, u32::MAX, 0);
    }
    std::mem::forget((null, files));
    Ok(wanted.len() as RawFd - 1)
}

fn limit(limits: &Limits) -> Result<(), Sentence> {
    let cpu = limits.cpu.as_secs().max(1);
    // SIGXCPU, which the supervisor recognises, is followed a second later by SIGKILL, which cannot be ignored.
    let all = [
        (libc::RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (libc::RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (libc::RLIMIT_CPU, cpu, cpu + 1),
        (libc::RLIMIT_CORE, 0, 0),
        (libc::RLIMIT_MEMLOCK, 0, 0),
        (libc::RLIMIT_MSGQUEUE, 0, 0),
    ];
    for (resource, soft, hard) in all {
        // SAFETY: plain system call.
        if unsafe { libc::setrlimit(resource, &libc::rlimit { rlim_cur: soft, rlim_max: hard }) } != 0 {
            return Err(doing("limit the worker")(io::Error::last_os_error()));
        }
    }
    Ok(())
}

/// Executes the program, or returns the error.
fn execute(plan: &Plan) -> Sentence {
    let pointers = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>();
    let (arguments, environment) = (pointers(&plan.arguments), pointers(&plan.environment));
    for path in &plan.paths {
        // SAFETY: both lists end with a null pointer and outlive the call.
        unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    }
    doing(format!("run {}", plan.arguments[0].to_string_lossy()))(io::Error::last_os_error())
}

fn say(report: &mut File, what: &Report) {
    let Ok(mut line) = serde_json::to_vec(what) else { return };
    line.push(b'\n');
    let _ = report.write_all(&line);
}

/// Init closes everything except its pipe to the supervisor.
fn keep_only(report: File) -> File {
    let fd = report.into_raw_fd();
    // SAFETY: the closed descriptors are not used again, because this process only waits; the caller keeps the
    // ownership of the pipe.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0u32, fd as u32 - 1, 0);
        libc::syscall(libc::SYS_close_range, fd as u32 + 1, u32::MAX, 0);
        File::from_raw_fd(fd)
    }
}

fn wait_for(work: i32, mut report: File) -> ! {
    loop {
        let mut status = 0;
        // SAFETY: plain system call.
        let pid = unsafe { libc::waitpid(-1, &mut status, 0) };
        if pid == work {
            say(&mut report, &Report::Ended(status));
            exit(0)
        }
        if pid < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            exit(1)
        }
    }
}

/// Exits without running the exit handlers inherited from the supervisor.
fn exit(code: i32) -> ! {
    // SAFETY: plain system call.
    unsafe { libc::_exit(code) }
}
