//! Counts the connections of clients, and the new ones among them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::{Shared, this_worker};

/// An open connection of a client, counted until this is dropped; includes websockets.
pub(crate) struct OpenConnection(Arc<Shared>);

impl OpenConnection {
    pub(crate) fn new(shared: &Arc<Shared>) -> OpenConnection {
        shared.connections.fetch_add(1, Relaxed);
        this_worker::add_connection();
        OpenConnection(shared.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
        this_worker::remove_connection();
        if std::thread::panicking() {
            tracing::error!("a connection panicked");
        }
    }
}

/// A connection that was accepted but not polled yet: it may have a request, which a router that stops waits for.
pub(crate) struct NewConnection(Arc<Shared>);

impl NewConnection {
    pub(crate) fn new(shared: &Arc<Shared>) -> NewConnection {
        shared.inflight.add();
        NewConnection(shared.clone())
    }
}

impl Drop for NewConnection {
    fn drop(&mut self) {
        self.0.inflight.subtract();
    }
}
