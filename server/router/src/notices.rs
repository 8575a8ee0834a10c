//! What strangers can cause as often as they like: counted always, said in the log now and then.

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
    /// Counts one, and has `say` tell how many there were since the last time, if that is long ago.
    pub(crate) fn count(&self, say: impl FnOnce(u64)) {
        let total = self.total.fetch_add(1, Relaxed) + 1;
        let (now, next) = (now_ms(), self.next_ms.load(Relaxed));
        let due = now >= next && self.next_ms.compare_exchange(next, now + EVERY_MS, Relaxed, Relaxed).is_ok();
        if due {
            say(total - self.reported.swap(total, Relaxed).min(total));
        }
    }

    /// How many there were since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }
}

/// All kinds.
#[derive(Default)]
pub(crate) struct Notices {
    /// Connections that had to make room for another of the same address.
    pub(crate) evicted: Notice,
    /// Connections and requests that found no room.
    pub(crate) refused: Notice,
    /// Requests that cannot be read, or could be read in two ways.
    pub(crate) malformed: Notice,
    /// Trusted peers that did not say whose connection they pass on.
    pub(crate) unintroduced: Notice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_said_once() {
        let notice = Notice::default();
        let mut reported = Vec::new();
        for _ in 0..1000 {
            notice.count(|n| reported.push(n));
        }
        assert_eq!((notice.total(), reported), (1000, vec![1]));
    }
}
