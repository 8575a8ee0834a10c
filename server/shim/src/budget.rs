//! The share of the machine for dynos.

/// The limits of all dynos together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl Budget {
    /// Processes and threads of dynos alone: the rest is for shims and workers.
    pub fn pids_of_dynos(&self) -> u64 {
        self.pids - self.pids / 8
    }
}
