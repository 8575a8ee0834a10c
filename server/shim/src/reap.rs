//! The end of children.

use std::io;

/// Waits until a child has exited.
pub(crate) fn reap(pid: i32) {
    let mut status = 0;
    // SAFETY: plain system call.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}
