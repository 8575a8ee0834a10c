//! The last hour of requests, in memory: what lists of apps show beside each name.
//!
//! Asking the files for it would read a whole day for each app, and lists are drawn anew with
//! every change of any app.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use crate::{Result, Store};

/// Stretches that are kept.
const SLOTS: usize = 30;
/// Length of a stretch in milliseconds.
const SLOT_MS: i64 = 120_000;

/// Requests of an app in stretches of two minutes, the newest last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recent {
    slots: [u64; SLOTS],
    /// The number of the newest stretch, counted from the epoch.
    newest: i64,
}

impl Recent {
    pub(crate) fn new(at_ms: i64) -> Recent {
        Recent { slots: [0; SLOTS], newest: at_ms.div_euclid(SLOT_MS) }
    }

    pub(crate) fn add(&mut self, at_ms: i64, requests: u64) {
        self.move_to(at_ms);
        let age = self.newest - at_ms.div_euclid(SLOT_MS);
        if let Some(slot) = usize::try_from(age).ok().and_then(|age| SLOTS.checked_sub(age + 1)) {
            self.slots[slot] += requests;
        }
    }

    /// Forgets what is more than an hour before `at_ms`.
    fn move_to(&mut self, at_ms: i64) {
        let by = at_ms.div_euclid(SLOT_MS) - self.newest;
        if by <= 0 {
            return;
        }
        let gone = usize::try_from(by).unwrap_or(SLOTS).min(SLOTS);
        self.slots.rotate_left(gone);
        self.slots[SLOTS - gone..].fill(0);
        self.newest += by;
    }
}

impl Store {
    /// Requests of the hour before `now` in stretches of two minutes, oldest first; empty without
    /// any. Read from the files once for each app, and kept up to date by [`Store::record`].
    pub fn recent(&self, app: Uuid, now: DateTime<Utc>) -> Result<Vec<u64>> {
        // Held while the files are read, so that nothing is recorded meanwhile.
        let mut apps = self.lock();
        let today = apps.entry(app).or_default();
        if today.recent.is_none() {
            let mut recent = Recent::new(now.timestamp_millis());
            for point in self.query(app, now - Duration::hours(1), now, SLOT_MS / 1000)?.points {
                recent.add(point.at.timestamp_millis(), point.rollup.requests());
            }
            today.recent = Some(recent);
        }
        let Some(recent) = &mut today.recent else { return Ok(Vec::new()) };
        recent.move_to(now.timestamp_millis());
        Ok(if recent.slots.iter().any(|n| *n > 0) { recent.slots.to_vec() } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_moves_on() {
        let mut recent = Recent::new(0);
        recent.add(1_000, 5);
        recent.add(SLOT_MS, 2);
        assert_eq!(recent.slots[SLOTS - 2..], [5, 2]);
        recent.add(30_000, 1);
        assert_eq!(recent.slots[SLOTS - 2..], [6, 2]);
        recent.move_to(SLOT_MS * 30);
        assert_eq!((recent.slots[0], recent.slots.iter().sum::<u64>()), (2, 2));
        recent.move_to(SLOT_MS * 3_000);
        assert_eq!(recent.slots, [0; SLOTS]);
        recent.add(0, 9);
        assert_eq!(recent.slots, [0; SLOTS]);
    }
}
