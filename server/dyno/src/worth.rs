//! Whom the kernel ends first when memory runs out.
//!
//! Tenants' processes go before ours that handle what they sent, and those before what everybody
//! depends on. It is the kernel's `oom_score_adj`: thousandths of all memory that a process is counted
//! as having more, or less, than it has.

/// What a process is worth to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Worth {
    /// A shim, with which its dyno would end; it is small.
    Shim = -900,
    /// The server, the router, the database.
    Platform = -500,
    /// A worker: one request fails, and can be tried again.
    Worker = 200,
    /// A dyno: there will be another one.
    Dyno = 600,
}

impl Worth {
    /// Says so of this process and those that it starts. Where root may not do that (it takes
    /// `CAP_SYS_RESOURCE` to lower the number), it fails in silence.
    pub fn claim(self) {
        let _ = std::fs::write("/proc/self/oom_score_adj", (self as i32).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_go_first_and_what_all_depend_on_last() {
        let order = [Worth::Dyno, Worth::Worker, Worth::Platform, Worth::Shim].map(|worth| worth as i32);
        assert!(order.is_sorted_by(|a, b| a > b), "{order:?}");
        // Else a large worker went before a small dyno.
        assert!(order[0] - order[1] >= 400);
    }
}
