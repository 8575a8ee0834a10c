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
