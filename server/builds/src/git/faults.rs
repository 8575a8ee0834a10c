//! Errors of the platform during a push, worded for its client.

use base::error::{is_contended, is_crowded, is_disk_full};

/// What the client can do about an error whose details go to the log.
pub(super) fn message(cause: &anyhow::Error) -> &'static str {
    if is_disk_full(cause) {
        "The platform's disk is full. Contact its operator, and push again later."
    } else if is_contended(cause) {
        "Somebody else changed the app at the same time. Push again."
    } else if is_crowded(cause) {
        "The machine ran out of memory while the commit was checked. Push again."
    } else {
        "Internal error. See the platform's log for details."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        // ENOSPC
        let full = std::io::Error::from_raw_os_error(28);
        for cause in [
            anyhow::Error::new(full).context("receive a push"),
            anyhow::anyhow!("git ended with 128: fatal: write error: No space left on device"),
        ] {
            assert!(message(&cause).contains("disk is full"), "{cause:#}");
        }
        assert!(message(&anyhow::anyhow!("nonsense")).starts_with("Internal error"));
    }
}
