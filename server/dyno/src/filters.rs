//! The filters on system calls of dynos and workers, compiled once per process.

mod search;
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
        Ok(Filters::new(programs.to_vec()))
    });
    compiled.as_ref().map_err(String::clone)
}

fn programs() -> Result<[Vec<libc::sock_filter>; 2], BackendError> {
    // Checked by every filter first: whether the number is one of this machine's native calls.
    let denied = denied_calls()?;
    let mut allowed = denied[..search::NATIVE].to_vec();
    allowed.extend(search::allow_only(&allowed_calls(), libc::ENOSYS as u32));
    Ok([allowed, denied])
}

fn allowed_calls() -> Vec<i64> {
    syscalls::ALLOWED.iter().chain(syscalls::ALLOWED_HERE).copied().collect()
}

fn denied_calls() -> Result<Vec<libc::sock_filter>, BackendError> {
    compile(denied()?, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<Vec<libc::sock_filter>, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let program: BpfProgram = SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()?;
    Ok(program.into_iter().map(instruction).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with a call of this number and architecture.
    fn run(program: &[libc::sock_filter], number: u32, architecture: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let mut jump = |is_so: bool| at += usize::from(if is_so { step.jt } else { step.jf });
            match step.code {
                0x20 => value = [number, architecture][step.k as usize / 4],
                0x15 => jump(value == step.k),
                0x35 => jump(value >= step.k),
                0x05 => at += step.k as usize,
                0x06 => return step.k,
                code => panic!("{code:x}"),
            }
        }
    }

    #[test]
    fn the_search_allows_what_a_list_would() {
        let [allowed, _] = programs().unwrap();
        let calls = allowed_calls();
        let listed = calls.iter().map(|call| (*call, Vec::new())).collect();
        let listed = compile(listed, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow).unwrap();
        assert!(allowed.len() < listed.len() / 4, "{} {}", allowed.len(), listed.len());
        let native = allowed[1].k;
        assert_eq!((allowed[0].code, allowed[0].k, allowed[1].code), (0x20, 4, 0x15));
        let highest = [0x3fff_ffff, 0x4000_0000, 0x4000_0001, 0x4000_003b, 0x7fff_ffff, 0x8000_0000, u32::MAX];
        for number in (0..5000).chain(highest) {
            for architecture in [native, native ^ 1, 0x4000_0003, 0] {
                let done = run(&allowed, number, architecture);
                assert_eq!(done, run(&listed, number, architecture), "{number} {architecture:x}");
                let is_allowed = architecture == native && calls.contains(&i64::from(number));
                assert_eq!(done == libc::SECCOMP_RET_ALLOW, is_allowed, "{number} {architecture:x}");
            }
        }
    }
}
