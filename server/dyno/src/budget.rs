//! What dynos have of the machine.

/// What all dynos together may use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl Budget {
    /// Processes and threads of dynos alone: shims and workers have the rest.
    pub fn pids_of_dynos(&self) -> u64 {
        self.pids - self.pids / 8
    }
}
