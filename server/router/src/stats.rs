//! The live counters: atomics that every request updates.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use uuid::Uuid;

use crate::codes::Code;
use crate::counters::{AppCounters, BUCKETS, Histogram, bucket};

/// Counters of one app. They live as long as the app is in the table.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) inflight: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    statuses: [AtomicU64; 5],
    codes: [AtomicU64; Code::ALL.len()],
    /// Without memory until the first request: most of many apps are idle.
    service: OnceLock<Box<[AtomicU64; BUCKETS]>>,
}

impl Stats {
    /// Counts a finished request. `service` is omitted for websockets, whose duration is meaningless.
    pub(crate) fn finished(&self, status: u16, code: Option<Code>, service: Option<Duration>) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.statuses[class].fetch_add(1, Relaxed);
        if let Some(code) = code {
            self.codes[code as usize].fetch_add(1, Relaxed);
        }
        if let Some(service) = service {
            let us = u64::try_from(service.as_micros()).unwrap_or(u64::MAX);
            let buckets = self.service.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
            buckets[bucket(us)].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn read(&self, app_id: Uuid) -> AppCounters {
        let codes = Code::ALL.iter().filter_map(|code| {
            let n = self.codes[*code as usize].load(Relaxed);
            (n > 0).then(|| (code.name().to_owned(), n))
        });
        let buckets = self.service.get().into_iter().flat_map(|all| all.iter()).enumerate().filter_map(|(i, n)| {
            let n = n.load(Relaxed);
            (n > 0).then_some((i as u16, n))
        });
        AppCounters {
            app_id,
            inflight: self.inflight.load(Relaxed),
            statuses: std::array::from_fn(|i| self.statuses[i].load(Relaxed)),
            codes: codes.collect(),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            service: Histogram { buckets: buckets.collect() },
        }
    }
}
