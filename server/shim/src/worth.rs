//! Which processes the kernel kills first when memory runs out.
//!
//! Tenants' processes are killed before the platform's workers that process their input, and those before the shared
//! services. This is the kernel's `oom_score_adj`: thousandths of all memory that are added to, or subtracted from, a
//! process's usage.

/// The importance of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Worth {
    /// A shim: its dyno would die with it, and it is small.
    Shim = -900,
    /// The server, the router, the database.
    Platform = -500,
    /// A worker: one request fails, and can be retried.
    Worker = 200,
    /// A dyno: it will be replaced.
    Dyno = 600,
}

impl Worth {
    /// Sets it for this process and its future children. Without the permission (lowering the number requires
    /// `CAP_SYS_RESOURCE`), it does nothing.
    pub fn claim(self) {
        let _ = std::fs::write("/proc/self/oom_score_adj", (self as i32).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_killed_first_and_shared_services_last() {
        let order = [Worth::Dyno, Worth::Worker, Worth::Platform, Worth::Shim].map(|worth| worth as i32);
        assert!(order.is_sorted_by(|a, b| a > b), "{order:?}");
        // Otherwise a large worker would be killed before a small dyno.
        assert!(order[0] - order[1] >= 400);
    }
}
