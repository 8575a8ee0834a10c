//! Aggregated samples of an interval.

use std::collections::BTreeMap;

use crate::{Histogram, Sample};

/// A sample must not make the store grow without bound.
const MAX_NAMES: usize = 64;

/// The metrics of one app in an interval: sums and extremes, so that two can be merged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollup {
    /// Number of samples.
    pub samples: u64,
    /// The total time they cover, in milliseconds.
    pub covered_ms: u64,
    /// Finished requests by the first digit of their status, `1xx` first.
    pub statuses: [u64; 5],
    /// Errors by code.
    pub codes: BTreeMap<String, u64>,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies.
    pub bytes_out: u64,
    /// Requests queued or running, summed over the samples.
    pub queue_sum: u64,
    /// The maximum number of requests queued or running.
    pub queue_max: u64,
    /// Response times.
    pub service: Histogram,
    /// By process type.
    pub processes: BTreeMap<String, ProcessRollup>,
}

/// The usage of the dynos of one process type in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessRollup {
    /// Number of samples with a dyno of this type.
    pub samples: u64,
    /// Number of dynos, summed over the samples.
    pub dynos_sum: u64,
    /// Observed milliseconds, summed over the dynos.
    pub dyno_ms: u64,
    /// Memory in bytes, summed over samples and dynos.
    pub memory_sum: u64,
    /// Maximum memory in bytes.
    pub memory_max: u64,
    /// Memory limit per dyno in bytes; the maximum.
    pub memory_quota: u64,
    /// Nanoseconds of CPU.
    pub cpu_ns: u64,
}

impl Rollup {
    /// One sample.
    pub fn of(sample: &Sample) -> Rollup {
        let covered_ms = sample.covers.as_millis() as u64;
        let processes = sample.processes.iter().take(MAX_NAMES).map(|(name, process)| {
            let rollup = ProcessRollup {
                samples: 1,
                dynos_sum: process.dynos.into(),
                dyno_ms: u64::from(process.dynos) * covered_ms,
                memory_sum: process.memory,
                memory_max: process.memory_max,
                memory_quota: process.memory_quota,
                cpu_ns: process.cpu_ns,
            };
            (name.clone(), rollup)
        });
        Rollup {
            samples: 1,
            covered_ms,
            statuses: sample.statuses,
            codes: sample.codes.clone().into_iter().take(MAX_NAMES).collect(),
            bytes_in: sample.bytes_in,
            bytes_out: sample.bytes_out,
            queue_sum: sample.queue,
            queue_max: sample.queue,
            service: sample.service.clone(),
            processes: processes.collect(),
        }
    }

    /// Merges another interval.
    pub fn merge(&mut self, other: &Rollup) {
        self.samples += other.samples;
        self.covered_ms += other.covered_ms;
        for (sum, more) in self.statuses.iter_mut().zip(other.statuses) {
            *sum += more;
        }
        for (code, count) in &other.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.queue_sum += other.queue_sum;
        self.queue_max = self.queue_max.max(other.queue_max);
        self.service.merge(&other.service);
        for (name, process) in &other.processes {
            self.processes.entry(name.clone()).or_default().merge(process);
        }
    }

    /// Finished requests.
    pub fn requests(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Finished requests per second of observed time.
    pub fn requests_per_second(&self) -> f64 {
        ratio(self.requests() as f64 * 1000.0, self.covered_ms)
    }

    /// The share of requests with a 5xx, 0 to 1; `None` without requests.
    pub fn error_rate(&self) -> Option<f64> {
        let requests = self.requests();
        (requests > 0).then(|| ratio(self.statuses[4] as f64, requests))
    }

    /// Mean number of requests queued or running.
    pub fn queue(&self) -> f64 {
        ratio(self.queue_sum as f64, self.samples)
    }
}

impl ProcessRollup {
    fn merge(&mut self, other: &ProcessRollup) {
        self.samples += other.samples;
        self.dynos_sum += other.dynos_sum;
        self.dyno_ms += other.dyno_ms;
        self.memory_sum += other.memory_sum;
        self.memory_max = self.memory_max.max(other.memory_max);
        self.memory_quota = self.memory_quota.max(other.memory_quota);
        self.cpu_ns += other.cpu_ns;
    }

    /// Mean number of dynos.
    pub fn dynos(&self) -> f64 {
        ratio(self.dynos_sum as f64, self.samples)
    }

    /// Memory of a dyno in bytes, mean over time and dynos.
    pub fn memory(&self) -> f64 {
        ratio(self.memory_sum as f64, self.dynos_sum)
    }

    /// Cores used by a dyno, mean over time and dynos.
    pub fn cpu(&self) -> f64 {
        ratio(self.cpu_ns as f64 / 1_000_000.0, self.dyno_ms)
    }
}

fn ratio(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}
