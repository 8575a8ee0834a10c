//! The limits of a dyno, and what it uses.

use serde::{Deserialize, Serialize};

/// The size of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Size {
    /// Bytes, including the file system's metadata.
    pub bytes: u64,
    /// Files and directories.
    pub files: u64,
}

impl Default for Size {
    /// 10 GB and a million files.
    fn default() -> Self {
        Size::of(10 << 30)
    }
}

impl Size {
    /// This many bytes, and a file for every 10 KB of them, at most a million.
    pub const fn of(bytes: u64) -> Size {
        let files = bytes / (10 << 10);
        Size { bytes, files: if files > 1_000_000 { 1_000_000 } else { files } }
    }
}

/// The resource limits of a dyno.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// The quota in bytes. Exceeding it has no effect here; readers of [`Stats`] compare.
    pub memory_bytes: u64,
    /// Hard limit in bytes: above it the kernel kills a process of the dyno.
    pub memory_max_bytes: u64,
    /// CPU weight; 1024 is the default.
    pub cpu_shares: u64,
    /// Microseconds of CPU time per 100 ms; 0 for no limit.
    pub cpu_quota_us: u64,
    /// Maximum number of processes and threads.
    pub pids: u64,
    /// The disk for /app and /tmp.
    #[serde(default)]
    pub disk: Size,
}

impl Default for Limits {
    /// A small dyno: 512 MB, killed at five times that, 256 processes and threads, 10 GB of disk.
    fn default() -> Self {
        Limits {
            memory_bytes: 512 << 20,
            memory_max_bytes: 5 * (512 << 20),
            cpu_shares: 1024,
            cpu_quota_us: 0,
            pids: 256,
            disk: Size::default(),
        }
    }
}

/// The resource usage of a running dyno.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// Anonymous memory, in bytes.
    pub memory_rss: u64,
    /// Page cache, in bytes; reclaimable.
    pub memory_cache: u64,
    /// Swapped out, in bytes.
    pub memory_swap: u64,
    /// CPU time since the start, in nanoseconds.
    pub cpu_ns: u64,
    /// Current processes and threads.
    pub pids: u64,
    /// Processes killed since the start because memory ran out.
    pub oom_kills: u64,
}
