//! The open files of a worker.

use std::os::fd::OwnedFd;

/// The open files of a worker. A missing one is /dev/null.
#[derive(Default, Debug)]
pub struct Lines {
    /// Its standard input.
    pub stdin: Option<OwnedFd>,
    /// Its standard output.
    pub stdout: Option<OwnedFd>,
    /// Its standard error.
    pub stderr: Option<OwnedFd>,
    /// Its descriptors 3, 4, and so on; for a task [`TaskFiles::files`](crate::TaskFiles::files).
    pub more: Vec<OwnedFd>,
}
