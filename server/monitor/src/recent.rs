//! The last hour of requests, in memory: shown beside each name in lists of apps.
//!
//! Reading it from the files would mean a whole day per app, and lists are rendered again on every change of
//! any app.

use std::collections::VecDeque;

use crate::{Histogram, Rollup};

/// Number of intervals kept.
const SLOTS: usize = 30;
/// Length of an interval in milliseconds.
pub(crate) const SLOT_MS: i64 = 120_000;

/// The requests of an app in one hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastHour {
    /// Requests per two-minute interval, oldest first; empty if there are none.
    pub requests: Vec<u64>,
    /// Responses with a status of 500 or more.
    pub failed: u64,
    /// The 95th percentile of response times in milliseconds; `None` without requests.
    pub p95_ms: Option<f64>,
}

/// The requests of two minutes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot {
    requests: u64,
    failed: u64,
    service: Histogram,
}

/// Requests of an app in two-minute intervals, newest last.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    slots: VecDeque<Slot>,
    /// The number of the newest interval, counted from the epoch.
    newest: i64,
    /// The totals; recomputed after changes.
    sum: Option<LastHour>,
}

impl Recent {
    pub(crate) fn new(at_ms: i64) -> Recent {
        let slots = std::iter::repeat_n(Slot::default(), SLOTS).collect();
        Recent { slots, newest: at_ms.div_euclid(SLOT_MS), sum: None }
    }

    /// The hour before `at_ms`.
    pub(crate) fn until(&mut self, at_ms: i64) -> LastHour {
        self.move_to(at_ms);
        self.sum().clone()
    }

    pub(crate) fn add(&mut self, at_ms: i64, rollup: &Rollup) {
        self.move_to(at_ms);
        let age = self.newest - at_ms.div_euclid(SLOT_MS);
        let place = usize::try_from(age).ok().and_then(|age| SLOTS.checked_sub(age + 1));
        if let Some(slot) = place.and_then(|place| self.slots.get_mut(place)) {
            slot.requests += rollup.requests();
            slot.failed += rollup.statuses[4];
            slot.service.merge(&rollup.service);
            self.sum = None;
        }
    }

    fn sum(&mut self) -> &LastHour {
        self.sum.get_or_insert_with(|| {
            let mut service = Histogram::default();
            self.slots.iter().for_each(|slot| service.merge(&slot.service));
            let requests: Vec<u64> = self.slots.iter().map(|slot| slot.requests).collect();
            LastHour {
                requests: if requests.iter().any(|n| *n > 0) { requests } else { Vec::new() },
                failed: self.slots.iter().map(|slot| slot.failed).sum(),
                p95_ms: service.quantile_ms(0.95),
            }
        })
    }

    /// Discards everything more than an hour before `at_ms`.
    fn move_to(&mut self, at_ms: i64) {
        let by = at_ms.div_euclid(SLOT_MS) - self.newest;
        if by <= 0 {
            return;
        }
        for _ in 0..by.min(SLOTS as i64) {
            self.slots.pop_front();
            self.slots.push_back(Slot::default());
        }
        self.newest += by;
        self.sum = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(n: u64, failed: u64, ms: u64) -> Rollup {
        let mut service = Histogram::default();
        (0..n).for_each(|_| service.count_us(ms * 1000));
        Rollup { statuses: [0, n - failed, 0, 0, failed], service, ..Rollup::default() }
    }

    #[test]
    fn an_hour_moves_on() {
        let mut recent = Recent::new(0);
        recent.add(1_000, &requests(5, 0, 10));
        recent.add(SLOT_MS, &requests(2, 0, 10));
        assert_eq!(recent.sum().requests[SLOTS - 2..], [5, 2]);
        recent.add(30_000, &requests(1, 0, 10));
        assert_eq!(recent.sum().requests[SLOTS - 2..], [6, 2]);
        recent.move_to(SLOT_MS * 30);
        assert_eq!((recent.sum().requests[0], recent.sum().requests.iter().sum::<u64>()), (2, 2));
        recent.move_to(SLOT_MS * 3_000);
        assert_eq!(*recent.sum(), LastHour::default());
        recent.add(0, &requests(9, 0, 10));
        assert_eq!(*recent.sum(), LastHour::default());
    }

    #[test]
    fn errors_and_response_times_of_an_hour() {
        let mut recent = Recent::new(0);
        recent.add(0, &requests(90, 2, 10));
        recent.add(SLOT_MS, &requests(10, 1, 800));
        assert_eq!(recent.sum().failed, 3);
        assert!((600.0..1000.0).contains(&recent.sum().p95_ms.unwrap_or_default()));
        recent.move_to(SLOT_MS * 30);
        assert_eq!(recent.sum().failed, 1);
    }
}
