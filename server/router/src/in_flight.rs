//! A request in progress.

use std::sync::Arc;

use crate::Shared;
use crate::client::{Busy, Client};
use crate::client_slots::ClientSlot;
use crate::origin::Origin;

/// Held until the request has ended.
pub(crate) struct InFlight {
    pub(crate) client: Busy,
    pub(crate) shared: Arc<Shared>,
    pub(crate) origin: Origin,
    /// The slot of its address, if requests are counted.
    pub(crate) slots: Vec<ClientSlot>,
}

impl InFlight {
    pub(crate) fn new(client: &Arc<Client>, shared: Arc<Shared>, origin: Origin) -> InFlight {
        shared.inflight.add();
        InFlight { client: Busy::new(client), shared, origin, slots: Vec::new() }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.inflight.subtract();
    }
}
