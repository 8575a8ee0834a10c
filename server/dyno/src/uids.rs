//! The user IDs of Wharf: the ranges of all its crates, which must not overlap.
//!
//! They are outside all other allocations: above what `useradd` reserves for users' containers (/etc/subuid, up to
//! 600,100,000), what systemd uses for containers (up to 1,879,048,191) and what SSSD maps directories to (up to
//! 2,000,200,000), and below systemd's foreign IDs (from 2,147,352,576 on). They fit into a signed 32-bit number, as
//! the database has it. Each user has a group with the same number.

use std::fs;
use std::ops::RangeInclusive;

/// All of them.
pub const ALL: RangeInclusive<u32> = 0x7800_0000..=0x7ffd_ffff;

/// The router, once it has bound its ports.
pub const ROUTER: u32 = 0x7800_0000;

/// Disposable workers that handle untrusted bytes.
pub const WORKERS: RangeInclusive<u32> = 0x7800_0100..=0x7800_ffff;

/// Apps: one user each, never reused. The database's sequence `app_uids` counts through them.
pub const APPS: RangeInclusive<u32> = 0x7801_0000..=0x7ffd_ffff;

/// Whether a process of this user is running on the host.
pub fn is_running(uid: u32) -> bool {
    let marks = [format!("Uid:\t{uid}\t"), format!("\t{uid}\t")];
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    processes.flatten().filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit()).any(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("Uid:"));
        line.is_some_and(|line| marks.iter().any(|mark| line.contains(mark)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_are_apart_and_fit_the_database() {
        assert!(ALL.contains(&ROUTER) && ROUTER < *WORKERS.start() && WORKERS.end() < APPS.start());
        assert!(*ALL.start() > 2_000_200_000 && *ALL.end() < 2_147_352_576);
        assert!(i32::try_from(*APPS.end()).is_ok() && APPS.end() == ALL.end());
    }

    #[test]
    fn processes_are_found_by_their_user() {
        // SAFETY: plain system call.
        assert!(is_running(unsafe { libc::getuid() }));
        assert!(!is_running(*APPS.end()));
    }
}
