//! The open files of a worker.

use std::os::fd::OwnedFd;

/// What a worker is handed as open files. Without one, it has /dev/null in its place.
#[derive(Default, Debug)]
pub struct Lines {
    /// Its standard input.
    pub stdin: Option<OwnedFd>,
    /// Its standard output.
    pub stdout: Option<OwnedFd>,
    /// Its standard error.
    pub stderr: Option<OwnedFd>,
    /// What it has at 3, 4, and so on; for an errand [`Given::files`](crate::Given::files).
    pub more: Vec<OwnedFd>,
}
