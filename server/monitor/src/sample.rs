//! What is measured every ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Histogram;

/// What happened to one app since the sample before. Take it at whole ten seconds of the clock, so
/// that samples and stretches of ten seconds agree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The time since the sample before.
    pub covers: Duration,
    /// Finished requests by the first digit of their status, `1xx` first.
    pub statuses: [u64; 5],
    /// Errors by code: `H12`, `R14`. The first 64 codes are kept.
    pub codes: BTreeMap<String, u64>,
    /// Bytes of bodies from clients.
    pub bytes_in: u64,
    /// Bytes of bodies to clients.
    pub bytes_out: u64,
    /// Requests that wait or run at this moment.
    pub queue: u64,
    /// Response times of finished requests.
    pub service: Histogram,
    /// The dynos that run, by process type. The first 64 types are kept.
    pub processes: BTreeMap<String, ProcessSample>,
}

/// What the dynos of one process type used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessSample {
    /// How many were measured.
    pub dynos: u32,
    /// Bytes, all of them together.
    pub memory: u64,
    /// Bytes, the largest of them.
    pub memory_max: u64,
    /// Bytes that each may use.
    pub memory_quota: u64,
    /// Nanoseconds of CPU since the sample before, all of them together.
    pub cpu_ns: u64,
}

impl ProcessSample {
    /// Adds one dyno: its memory and quota in bytes, and the CPU it used since the sample before.
    pub fn add_dyno(&mut self, memory: u64, quota: u64, cpu_ns: u64) {
        self.dynos += 1;
        self.memory += memory;
        self.memory_max = self.memory_max.max(memory);
        self.memory_quota = self.memory_quota.max(quota);
        self.cpu_ns += cpu_ns;
    }
}
