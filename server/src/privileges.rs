//! Drops root privileges permanently: a proxy needs none of them.

use std::{io, path::Path, ptr};

use anyhow::{Context, Result, bail};
use dyno::confine;
use landlock::{ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// Switches to `user` and the group of the same number only, without capabilities or ways
/// to gain any, and without access to files outside `folders`. Open descriptors stay open. Call it
/// while there is one thread.
pub fn give_up(user: u32, folders: &[&Path]) -> Result<()> {
    become_user(user).context("switch to another user")?;
    confine_files(folders).context("restrict access to files")?;
    filter_calls().context("install the filter on system calls")?;
    // SAFETY: plain system call, which is expected to fail.
    if unsafe { libc::setuid(0) } == 0 {
        bail!("Root privileges could be regained.");
    }
    Ok(())
}

fn become_user(user: u32) -> io::Result<()> {
    let done = |result: i64| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: plain system calls; the two arrays are laid out as in the kernel's header.
    unsafe {
        done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        done(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0).into())?;
        let mut capability = 0;
        while libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) >= 0 {
            done(libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0).into())?;
            capability += 1;
        }
        done(libc::setgroups(0, ptr::null()).into())?;
        done(libc::setresgid(user, user, user).into())?;
        done(libc::setresuid(user, user, user).into())?;
        let header: [u32; 2] = [0x2008_0522, 0]; // version 3, this process
        let none = [0u32; 6];
        done(libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()))?;
        // Other processes of the same user cannot inspect it.
        done(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0).into())
    }
}

/// As far as the kernel supports Landlock; otherwise only the user's permissions apply.
fn confine_files(folders: &[&Path]) -> Result<()> {
    let everything = AccessFs::from_all(ABI::V5);
    let mut rules = Ruleset::default().handle_access(everything)?.handle_access(AccessNet::BindTcp)?.create()?;
    for folder in folders {
        let below = PathFd::new(folder).with_context(|| format!("open {}", folder.display()))?;
        rules = rules.add_rule(PathBeneath::new(below, everything & !AccessFs::Execute))?;
    }
    rules.restrict_self()?;
    Ok(())
}

/// System calls that are allowed in a dyno, but that a proxy does not need.
const NEEDLESS: [i64; 10] = [
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_name_to_handle_at,
    libc::SYS_personality,
    libc::SYS_pidfd_open,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
];

fn filter_calls() -> Result<()> {
    let mut denied: Rules = confine::DENIED.iter().chain(&NEEDLESS).map(|call| (*call, Vec::new())).collect();
    let is = |op, value| SeccompCondition::new(0, Dword, op, value);
    // Threads, but no processes.
    let thread = libc::CLONE_THREAD as u64;
    denied.insert(libc::SYS_clone, vec![SeccompRule::new(vec![is(SeccompCmpOp::MaskedEq(thread), 0)?])?]);
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let other = families.iter().map(|family| is(SeccompCmpOp::Ne, *family as u64)).collect::<Result<_, _>>()?;
    denied.insert(libc::SYS_socket, vec![SeccompRule::new(other)?]);
    apply(denied, libc::EPERM)?;
    // Its arguments cannot be inspected, so it fails with ENOSYS: the C library falls back to clone.
    apply(Rules::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

type Rules = std::collections::BTreeMap<i64, Vec<SeccompRule>>;

fn apply(rules: Rules, answer: i32) -> Result<()> {
    let arch = std::env::consts::ARCH.try_into()?;
    let answer = SeccompAction::Errno(answer as u32);
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into()?;
    Ok(apply_filter(&filter)?)
}
