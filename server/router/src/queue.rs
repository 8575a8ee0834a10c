//! Requests that wait for an app to start.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::codes::Code;

/// Requests of one app that may wait for it to start.
const QUEUE: usize = 1000;

/// A place in an app's queue, until it is dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes one, if there are not too many who wait.
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
