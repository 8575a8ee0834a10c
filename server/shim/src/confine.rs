//! Confinement of the processes inside: no capabilities, no new privileges, no dangerous system calls.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use serde::{Deserialize, Serialize};

use crate::sentence::{Sentence, doing};

/// Open files; the default of 1024 is too low for a server.
const OPEN_FILES: u64 = 65_536;

/// Filters on system calls, of which the strictest result counts. Compiled by the driver, which knows the calls.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Filters(Vec<Vec<Instruction>>);

/// An instruction for the kernel's filter machine: the four fields of its structure, in 64 bits.
type Instruction = u64;

impl Filters {
    /// Filters from their programs.
    pub fn new(programs: Vec<Vec<libc::sock_filter>>) -> Filters {
        let pack = |step: libc::sock_filter| {
            u64::from(step.code) << 48 | u64::from(step.jt) << 40 | u64::from(step.jf) << 32 | u64::from(step.k)
        };
        Filters(programs.into_iter().map(|program| program.into_iter().map(pack).collect()).collect())
    }

    /// Their programs.
    pub fn programs(&self) -> impl Iterator<Item = Vec<libc::sock_filter>> + '_ {
        let unpack = |step: &Instruction| libc::sock_filter {
            code: (step >> 48) as u16,
            jt: (step >> 40) as u8,
            jf: (step >> 32) as u8,
            k: *step as u32,
        };
        self.0.iter().map(move |program| program.iter().map(unpack).collect())
    }

    /// Applies them to this process and its descendants, irrevocably. It must have one thread.
    pub fn apply(&self) -> Result<(), Sentence> {
        for mut program in self.programs() {
            let length = program.len().try_into().map_err(|_| "A filter on system calls is too long.")?;
            let given = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
            // SAFETY: plain system calls; the structure and the program that it refers to outlive them.
            unsafe {
                check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs")?;
                let mode = libc::SECCOMP_SET_MODE_FILTER;
                let installed = libc::syscall(libc::SYS_seccomp, mode, 0, &raw const given);
                check(installed as i32, "install the filter on system calls")?;
            }
        }
        Ok(())
    }
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
pub(crate) fn limit_resources() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_keeps_its_fields() {
        let step = libc::sock_filter { code: 0x8015, jt: 0xff, jf: 0x7f, k: 0xffff_fffe };
        let other = libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 };
        let given = vec![vec![step, other], vec![other]];
        let filters = Filters::new(given.clone());
        let fields = |step: &libc::sock_filter| (step.code, step.jt, step.jf, step.k);
        let all = |programs: Vec<Vec<libc::sock_filter>>| {
            programs.iter().map(|program| program.iter().map(fields).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(all(filters.programs().collect()), all(given));
        let text = serde_json::to_string(&filters).unwrap();
        assert_eq!(serde_json::from_str::<Filters>(&text).unwrap(), filters);
    }
}
