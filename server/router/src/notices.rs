//! Events that anybody can cause at any rate: always counted, and logged now and then.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::timer::now_ms;

const EVERY_MS: u64 = 10_000;

/// One kind of event.
#[derive(Default)]
pub(crate) struct Notice {
    total: AtomicU64,
    reported: AtomicU64,
    next_ms: AtomicU64,
}

impl Notice {
    /// Counts one, and calls `say` with the number since the last call, unless that was recent.
    pub(crate) fn count(&self, say: impl FnOnce(u64)) {
        let total = self.total.fetch_add(1, Relaxed) + 1;
        let (now, next) = (now_ms(), self.next_ms.load(Relaxed));
        let due = now >= next && self.next_ms.compare_exchange(next, now + EVERY_MS, Relaxed, Relaxed).is_ok();
        if due {
            say(total - self.reported.swap(total, Relaxed).min(total));
        }
    }

    /// The number since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }
}

/// All kinds.
#[derive(Default)]
pub(crate) struct Notices {
    /// Connections that were evicted for another one of the same address.
    pub(crate) evicted: Notice,
    /// Connections and requests that were rejected because of a limit.
    pub(crate) refused: Notice,
    /// Requests that are malformed or ambiguous.
    pub(crate) malformed: Notice,
    /// Connections that could not be accepted immediately, because no file was left.
    pub(crate) out_of_files: Notice,
    /// Trusted peers that sent no PROXY header.
    pub(crate) unintroduced: Notice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_reported_once() {
        let notice = Notice::default();
        let mut reported = Vec::new();
        for _ in 0..1000 {
            notice.count(|n| reported.push(n));
        }
        assert_eq!((notice.total(), reported), (1000, vec![1]));
    }
}
