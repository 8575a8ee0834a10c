//! A sample, taken every ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Histogram;

/// The metrics of one app since the previous sample. Take it at multiples of ten seconds, so that samples and
/// ten-second intervals align.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The time since the previous sample.
    pub covers: Duration,
    /// Finished requests by the first digit of their status, `1xx` first.
    pub statuses: [u64; 5],
    /// Errors by code: `H12`, `R14`. The first 64 codes are kept.
    pub codes: BTreeMap<String, u64>,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies.
    pub bytes_out: u64,
    /// Requests currently queued or running.
    pub queue: u64,
    /// Response times of finished requests.
    pub service: Histogram,
    /// Running dynos by process type. The first 64 types are kept.
    pub processes: BTreeMap<String, ProcessSample>,
}

/// The usage of the dynos of one process type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessSample {
    /// Number of dynos measured.
    pub dynos: u32,
    /// Total bytes.
    pub memory: u64,
    /// Bytes of the largest.
    pub memory_max: u64,
    /// Memory limit of each in bytes.
    pub memory_quota: u64,
    /// Total nanoseconds of CPU since the previous sample.
    pub cpu_ns: u64,
}

impl ProcessSample {
    /// Adds one dyno: its memory and limit in bytes, and the CPU used since the previous sample.
    pub fn add_dyno(&mut self, memory: u64, quota: u64, cpu_ns: u64) {
        self.dynos += 1;
        self.memory += memory;
        self.memory_max = self.memory_max.max(memory);
        self.memory_quota = self.memory_quota.max(quota);
        self.cpu_ns += cpu_ns;
    }
}
