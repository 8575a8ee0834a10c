//! How much of a log is kept.

use std::time::Duration;

/// The retention of each app's log. The oldest lines are deleted first.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes on disk, compressed. The newest segment is kept regardless of size.
    pub bytes: u64,
    /// Older lines are deleted, a segment at a time.
    pub age: Duration,
    /// A segment is closed and compressed when it reaches this size.
    pub segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 1 << 30, age: Duration::from_secs(30 * 24 * 3600), segment_bytes: 16 << 20 }
    }
}
