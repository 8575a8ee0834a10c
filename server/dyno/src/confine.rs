//! Takes away from a process what the app must not have. After this there is no way back.

use std::collections::BTreeMap;
use std::io;

use anyhow::{Context, anyhow};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
};

/// System calls that an app has no business with. Most need capabilities that it does not have;
/// they are refused before the kernel gets to look.
const DENIED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Only where the processor has them.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[i64] = &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// `clone` may not make namespaces.
const NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWCGROUP) as u64;

/// Becomes the user `uid` without any privilege, for good. Children inherit all of it.
pub(crate) fn confine(uid: u32) -> anyhow::Result<()> {
    let filters = filters().context("make the filter of system calls")?;
    // SAFETY: plain system calls; the process has one thread.
    unsafe {
        for capability in 0..64 {
            // Fails for those above the last one that this kernel knows.
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        check(libc::setgroups(0, std::ptr::null())).context("drop the groups")?;
        check(libc::setresgid(uid, uid, uid)).context("set the group")?;
        check(libc::setresuid(uid, uid, uid)).context("set the user")?;
        clear_inheritable()?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)).context("set no_new_privs")?;
    }
    for filter in filters {
        apply_filter(&filter).map_err(|e| anyhow!("apply the filter of system calls: {e}"))?;
    }
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Changing the user cleared the other sets, but not this one.
fn clear_inheritable() -> anyhow::Result<()> {
    // `struct __user_cap_header_struct` and two `struct __user_cap_data_struct`, version 3.
    let header = [0x2008_0522_u32, 0];
    let sets = [0_u32; 6];
    // SAFETY: both live until the call returns and have the sizes that version 3 asks for.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()).context("drop the capabilities") }
}

/// Two filters, because each has one answer: EPERM for what is denied, and ENOSYS for `clone3`,
/// whose flags a filter cannot see; the C library then falls back to `clone`.
fn filters() -> anyhow::Result<[BpfProgram; 2]> {
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().chain(DENIED_HERE).map(|call| (*call, Vec::new())).collect();
    let mut spaces = Vec::new();
    for bit in (0..64).map(|n| 1_u64 << n).filter(|bit| NAMESPACES & bit != 0) {
        let has = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bit), bit)?;
        spaces.push(SeccompRule::new(vec![has])?);
    }
    denied.insert(libc::SYS_clone, spaces);
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok([program(denied, libc::EPERM)?, program(unknown, libc::ENOSYS)?])
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> anyhow::Result<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?;
    Ok(filter.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_can_be_made() {
        filters().expect("filters");
    }
}
