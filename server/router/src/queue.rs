//! Requests that wait for an app to start.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::codes::Code;

/// Maximum number of requests per app that wait for its start.
const QUEUE: usize = 1000;

/// A slot in an app's queue, released when it is dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes one, if not too many are waiting.
    pub(crate) fn take(queue: &Arc<AtomicUsize>) -> Result<Place, Code> {
        let place = Place(queue.clone());
        match queue.fetch_add(1, Relaxed) < QUEUE {
            true => Ok(place),
            false => Err(Code::H11),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
