//! Slots for reading logs.

use std::sync::Arc;

use base::slots::Slots;

/// Slots for reading large parts of a log, and CPU turns, so that a new reader waits for a few turns instead of entire
/// searches.
pub(crate) struct Readers {
    pub glances: Slots,
    pub searches: Slots,
    pub catching_up: Slots,
    pub turns: Arc<Slots>,
}

impl Default for Readers {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        Self {
            glances: Slots::new("log reads", 2, 64, 16),
            searches: Slots::new("log searches", 2, 16, 32),
            // As many can wait as there can be streams.
            catching_up: Slots::new("log streams catching up", 2, 1000, 32),
            turns: Arc::new(Slots::new("log readers", (cores / 4).max(1), 1000, cores)),
        }
    }
}
