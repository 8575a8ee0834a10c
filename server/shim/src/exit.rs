//! The record of how a dyno ended.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::cgroups::Shortage;

/// How a dyno ended. Drivers read it with types of their own.
#[derive(Clone, Serialize)]
pub struct Ended {
    /// When the end was noticed, as in RFC 3339, in UTC.
    pub at: String,
    /// Exit status of the command, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that killed the command, if one did.
    pub signal: Option<i32>,
    /// Whether the kernel killed one of its processes because the dyno had reached its memory limit.
    pub oom: bool,
    /// Whether the kernel killed one because all dynos together were out of memory.
    pub crowded: bool,
    /// A message, if the dyno could not be started.
    pub error: Option<String>,
}

impl Ended {
    /// An end that the dyno's own command did not cause, now.
    pub(crate) fn of_error(sentence: String) -> Ended {
        Ended { at: now(), code: None, signal: None, oom: false, crowded: false, error: Some(sentence) }
    }

    /// The end of a command, now. Its wait status is sent through `ended` when it has ended; if the sender was killed
    /// first, so was the command.
    pub(crate) fn of_command(ended: &OwnedFd, shortage: Option<Shortage>) -> Ended {
        let mut bytes = [0; 4];
        let read = ended.try_clone().and_then(|ended| File::from(ended).read_exact(&mut bytes));
        let status = match read {
            Ok(()) => i32::from_ne_bytes(bytes),
            Err(_) => libc::SIGKILL,
        };
        Ended {
            at: now(),
            code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            oom: shortage == Some(Shortage::Own),
            crowded: shortage == Some(Shortage::Shared),
            error: None,
        }
    }
}

/// The time since 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// The current time, as in RFC 3339, in UTC.
fn now() -> String {
    rfc3339(since_epoch())
}

/// By hand, because the C library would load the time zones first, and they would stay in memory.
fn rfc3339(since: Duration) -> String {
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", since.subsec_micros())
}

/// Year, month and day, this many days after 1970-01-01. Years are counted from March on, so that the day that some
/// of them lack is their last.
fn date(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_everybody_reads_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (1_735_689_600, "2025-01-01T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
        assert!(rfc3339(Duration::from_micros(1_000_042)).ends_with("01.000042Z"));
    }
}
