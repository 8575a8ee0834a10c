//! The filters on system calls of dynos and workers, compiled once per process.

mod syscalls;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use shim::confine::Filters;

pub use self::syscalls::DENIED;

/// The two system call filters, of which the stricter result counts. An error is a sentence.
///
/// The first is an allowlist that fails other calls with "no such call", as programs expect of an older kernel. The
/// second fails known dangerous calls with "not permitted", entirely or with certain arguments.
pub fn filters() -> Result<&'static Filters, String> {
    static COMPILED: OnceLock<Result<Filters, String>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let programs = programs().map_err(|e| format!("Could not compile the filter on system calls: {e}."))?;
        let program = |steps: BpfProgram| steps.into_iter().map(instruction).collect();
        Ok(Filters::new(programs.map(program).to_vec()))
    });
    compiled.as_ref().map_err(String::clone)
}

fn programs() -> Result<[BpfProgram; 2], BackendError> {
    let compile = |rules, otherwise, matched| {
        let arch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
    };
    let allowed = syscalls::ALLOWED.iter().chain(syscalls::ALLOWED_HERE).map(|call| (*call, Vec::new()));
    let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
    let forbidden = SeccompAction::Errno(libc::EPERM as u32);
    Ok([
        compile(allowed.collect(), unknown, SeccompAction::Allow)?,
        compile(denied()?, SeccompAction::Allow, forbidden)?,
    ])
}

/// The same structure, as the C library has it.
fn instruction(step: seccompiler::sock_filter) -> libc::sock_filter {
    libc::sock_filter { code: step.code, jt: step.jt, jf: step.jf, k: step.k }
}

/// Denied calls: without conditions, always; with several rules, if one of them matches.
fn denied() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
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
fn sockets() -> Result<Vec<SeccompRule>, BackendError> {
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
