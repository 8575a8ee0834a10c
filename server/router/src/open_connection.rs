//! Counts the connections of clients.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::Shared;

/// An open connection of a client, counted until this is dropped; includes websockets.
pub(crate) struct OpenConnection(Arc<Shared>);

impl OpenConnection {
    pub(crate) fn new(shared: &Arc<Shared>) -> OpenConnection {
        shared.connections.fetch_add(1, Relaxed);
        OpenConnection(shared.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
