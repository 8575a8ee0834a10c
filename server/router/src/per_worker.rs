//! A number that all workers count with each request, and that is read rarely.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::this_worker;

/// A part for each worker, so that none has to wait for the cache line of another.
pub(crate) struct PerWorker(Box<[Part]>);

#[derive(Default)]
#[repr(align(128))]
struct Part(AtomicUsize);

impl PerWorker {
    pub(crate) fn new(workers: usize) -> PerWorker {
        PerWorker((0..workers.max(1)).map(|_| Part::default()).collect())
    }

    /// Adds one.
    pub(crate) fn add(&self) {
        self.0[this_worker::number()].0.fetch_add(1, Relaxed);
    }

    /// Subtracts one, which may have been added by another worker.
    pub(crate) fn subtract(&self) {
        self.0[this_worker::number()].0.fetch_sub(1, Relaxed);
    }

    /// The sum of all workers.
    pub(crate) fn total(&self) -> usize {
        self.0.iter().fold(0, |sum, part| sum.wrapping_add(part.0.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_worker_adds_another_one_can_subtract() {
        let count = PerWorker::new(2);
        count.add();
        count.add();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                this_worker::set_number(1);
                count.subtract();
                count.subtract();
                count.add();
            });
        });
        assert_eq!(count.total(), 1);
    }
}
