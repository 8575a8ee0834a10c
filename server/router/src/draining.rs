//! Dynos that were taken out of the table and still have requests in progress.
//!
//! The supervisor stops a dyno only after its requests have ended. Every response about the table contains the busy
//! dynos, and the supervisor can wait until the first of them has no more requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::backends::Backend;
use crate::socket::Address;

/// The retired backends with requests in progress, and some without.
#[derive(Default)]
pub(crate) struct Draining(Mutex<Vec<Arc<Backend>>>);

impl Draining {
    /// Adds backends that have just been retired.
    pub(crate) fn add(&self, retired: Vec<Arc<Backend>>) {
        self.lock_busy(|all| all.extend(retired.into_iter().filter(|backend| backend.is_busy())));
    }

    /// The addresses of those with requests in progress.
    pub(crate) fn busy(&self) -> Vec<SocketAddr> {
        self.lock_busy(|all| all.iter().filter_map(|backend| address(backend)).collect())
    }

    /// Waits until one of `dynos` has no request in progress; returns immediately if there is one.
    pub(crate) async fn until_one_is_free(&self, dynos: &[SocketAddr]) {
        let busy: Vec<(SocketAddr, Arc<Backend>)> =
            self.lock_busy(|all| all.iter().filter_map(|backend| Some((address(backend)?, backend.clone()))).collect());
        if dynos.iter().any(|dyno| busy.iter().all(|(address, _)| address != dyno)) {
            return;
        }
        let mut ends = JoinSet::new();
        for (_, backend) in busy.into_iter().filter(|(address, _)| dynos.contains(address)) {
            ends.spawn(async move { backend.until_drained().await });
        }
        ends.join_next().await;
    }

    /// Checks those that are busy; a retired backend without requests never gets another.
    fn lock_busy<T>(&self, look: impl FnOnce(&mut Vec<Arc<Backend>>) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|backend| backend.is_busy());
        look(&mut all)
    }
}

/// `None` for the server, which is never retired.
fn address(backend: &Backend) -> Option<SocketAddr> {
    match backend.address {
        Address::Tcp(address) => Some(address),
        Address::Unix(_) => None,
    }
}
