//! Confinement of the processes inside: no capabilities, no new privileges, no dangerous system calls.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::{Sentence, doing, syscalls};

/// Open files; the default of 1024 is too low for a server.
const OPEN_FILES: u64 = 65_536;

/// The two system call filters, of which the stricter result counts.
///
/// The first is an allowlist that fails other calls with "no such call", as programs expect of an older kernel. The
/// second fails known dangerous calls with "not permitted", entirely or with certain arguments.
pub struct Filters {
    allowed: BpfProgram,
    denied: BpfProgram,
}

impl Filters {
    /// Compiles them.
    pub fn new() -> Result<Filters, Sentence> {
        let compile = |rules, otherwise, matched| {
            let arch = std::env::consts::ARCH.try_into()?;
            SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
        };
        let allowed = syscalls::ALLOWED.iter().chain(syscalls::ALLOWED_HERE).map(|call| (*call, Vec::new()));
        let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
        let forbidden = SeccompAction::Errno(libc::EPERM as u32);
        let filters = (|| {
            Ok::<_, seccompiler::BackendError>(Filters {
                allowed: compile(allowed.collect(), unknown, SeccompAction::Allow)?,
                denied: compile(denied()?, SeccompAction::Allow, forbidden)?,
            })
        })();
        filters.map_err(|e| format!("Could not compile the filter on system calls: {e}."))
    }

    /// Applies them to this process and its descendants, irrevocably.
    pub fn apply(&self) -> Result<(), Sentence> {
        for filter in [&self.allowed, &self.denied] {
            apply_filter(filter).map_err(|e| format!("Could not install the filter on system calls: {e}."))?;
        }
        Ok(())
    }
}

/// Denied calls: without conditions, always; with several rules, if one of them matches.
fn denied() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = syscalls::DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let is = |op, value| SeccompCondition::new(0, Dword, op, value);

    let mut namespaces = Vec::new();
    for flag in [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ] {
        let flag = flag as u64;
        namespaces.push(SeccompRule::new(vec![is(SeccompCmpOp::MaskedEq(flag), flag)?])?);
    }
    rules.insert(libc::SYS_clone, namespaces);

    let except = |values: &[u64]| {
        let unlike = values.iter().map(|value| is(SeccompCmpOp::Ne, *value));
        SeccompRule::new(unlike.collect::<Result<_, _>>()?)
    };
    rules.insert(libc::SYS_socket, sockets()?);
    rules.insert(libc::SYS_socketpair, vec![except(&[libc::AF_UNIX as u64])?]);
    // Plain Linux, its uname26 and 32-bit variants, and the query for the current one.
    let personalities = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    rules.insert(libc::SYS_personality, vec![except(&personalities)?]);
    // Faking input to a terminal (TIOCSTI).
    let request = |number| SeccompRule::new(vec![SeccompCondition::new(1, Dword, SeccompCmpOp::Eq, number)?]);
    rules.insert(libc::SYS_ioctl, vec![request(libc::TIOCSTI)?, request(TIOCLINUX)?]);
    Ok(rules)
}

/// Injecting input into a terminal, and similar.
const TIOCLINUX: u64 = 0x541c;
/// The allowed internet protocols: the default of a socket type, ICMP, TCP, UDP and ICMPv6. For any other, the kernel
/// would load code on request.
const PROTOCOLS: [u64; 5] = [0, 1, 6, 17, 58];
/// Interfaces and routes (NETLINK_ROUTE); other netlink protocols concern the host.
const NETLINK_ROUTE: u64 = 0;

/// Denied sockets: those of other families, and of other protocols.
fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let family = |op, family: i32| SeccompCondition::new(0, Dword, op, family as u64);
    let unlike = |protocol: &u64| SeccompCondition::new(2, Dword, SeccompCmpOp::Ne, *protocol);
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let others = families.into_iter().map(|known| family(SeccompCmpOp::Ne, known));
    let mut rules = vec![SeccompRule::new(others.collect::<Result<_, _>>()?)?];
    for internet in [libc::AF_INET, libc::AF_INET6] {
        let mut conditions = vec![family(SeccompCmpOp::Eq, internet)?];
        conditions.extend(PROTOCOLS.iter().map(unlike).collect::<Result<Vec<_>, _>>()?);
        rules.push(SeccompRule::new(conditions)?);
    }
    rules.push(SeccompRule::new(vec![family(SeccompCmpOp::Eq, libc::AF_NETLINK)?, unlike(&NETLINK_ROUTE)?])?);
    Ok(rules)
}

/// Becomes the app's user, without capabilities and without ways to regain them.
pub fn drop_rights(uid: u32) -> Result<(), Sentence> {
    // SAFETY: plain system calls; the two structures are laid out as in the kernel's header.
    unsafe {
        // A keyring of its own, so that the server's session keyring is not accessible. Failures are ignored.
        libc::syscall(libc::SYS_keyctl, 1, ptr::null::<libc::c_char>());
        let mut capability = 0;
        while libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) >= 0 {
            check(libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0), "drop a capability")?;
            capability += 1;
        }
        check(libc::setgroups(0, ptr::null()), "drop the supplementary groups")?;
        check(libc::setresgid(uid, uid, uid), "change the group")?;
        check(libc::setresuid(uid, uid, uid), "change the user")?;
        let header: [u32; 2] = [0x2008_0522, 0]; // version 3, this process
        let none = [0u32; 6];
        let set = libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr());
        check(set as i32, "drop the capabilities")?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs")
    }
}

/// Has the kernel kill this process when its parent dies, and checks whether that has happened.
pub fn die_with_parent(alive: &OwnedFd) -> Result<(), Sentence> {
    // SAFETY: plain system calls.
    unsafe {
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0), "hide init's memory")?;
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0), "set the parent death signal")?;
        let mut polled = libc::pollfd { fd: alive.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        libc::poll(&mut polled, 1, 0);
        match polled.revents {
            0 => Ok(()),
            _ => Err("The supervisor of this dyno was stopped.".to_owned()),
        }
    }
}

/// More open files, no core files.
pub(super) fn limit_resources() {
    // SAFETY: plain system calls. If one fails, the previous limit stays.
    unsafe {
        let mut files = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut files);
        files.rlim_max = files.rlim_max.min(OPEN_FILES);
        files.rlim_cur = files.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &files);
        libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
        libc::umask(0o022);
    }
}

/// Resets signals to their defaults and unblocks them. The Rust runtime ignores SIGPIPE, and ignored signals stay
/// ignored across exec.
pub fn reset_signals() {
    // SAFETY: plain system calls; the set is initialised before it is used.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}

fn check(result: i32, what: &str) -> Result<(), Sentence> {
    match result {
        0.. => Ok(()),
        _ => Err(doing(what)(io::Error::last_os_error())),
    }
}
