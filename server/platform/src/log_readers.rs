//! Slots for reading logs.

use std::sync::Arc;

use base::places::Places;

/// Places of those who read much of a log, and turns at it: so that whoever comes waits for a few turns, and not for
/// the ends of searches.
pub(crate) struct Readers {
    pub glances: Places,
    pub searches: Places,
    pub catching_up: Places,
    pub turns: Arc<Places>,
}

impl Default for Readers {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        Self {
            glances: Places::new("log reads", 2, 64, 16),
            searches: Places::new("log searches", 2, 16, 32),
            // As many may wait as can follow something.
            catching_up: Places::new("log streams catching up", 2, 1000, 32),
            turns: Arc::new(Places::new("log readers", (cores / 4).max(1), 1000, cores)),
        }
    }
}
